/* freestanding: every system call that takes an address, with bad and good ones and every kind of length, and what the
 * kernel answers. pointers [CALL]: all of them, or one. Compared with Linux by tests/hostile/test_pointers.py. */
/* SPDX-License-Identifier: MIT */
#include <freestanding.h>

/* Where nothing else is, and for two gigabytes above neither. */
#define BASE            0x200000000ul
#define EDGE            (BASE + 0x1000) /* behind it nothing is mapped */
#define READ_ONLY       (BASE + 0x2000)
#define NO_ACCESS       (BASE + 0x3000)
#define REGION          0x4000ul
#define USER_TOP        0x800000000000ul
#define FIXED_ANONYMOUS 0x32
#define CLOCK_MONOTONIC 1
#define TIOCGWINSZ      0x5413

static const struct {
    const char *name;
    uint64_t value;
} addresses[] = {
    {"0", 0},
    {"1", 1},
    {"start", BASE},
    {"start+1", BASE + 1},
    {"edge-16", EDGE - 16},
    {"edge-8", EDGE - 8},
    {"edge-1", EDGE - 1},
    {"edge", EDGE},
    {"edge+8", EDGE + 8},
    {"read-only", READ_ONLY},
    {"no-access", NO_ACCESS},
    {"top-8192", USER_TOP - 8192},
    {"top-8", USER_TOP - 8},
    {"top-1", USER_TOP - 1},
    {"top", USER_TOP},
    {"top+4096", USER_TOP + 4096},
    {"not-canonical", 0xdead000000000000},
    {"2^63", 1ul << 63},
    {"kernel's-half", 0xffff800000000000},
    {"stacks", 0xffffc00000003ff8},
    {"text", 0xffffffff80100000},
    {"-4096", ~0ul - 4095},
    {"-8", ~0ul - 7},
    {"-1", ~0ul},
};

static const struct {
    const char *name;
    uint64_t value;
} lengths[] = {
    {"0", 0},
    {"1", 1},
    {"8", 8},
    {"17", 17},
    {"4095", 4095},
    {"4096", 4096},
    {"4097", 4097},
    {"2^31", 1ul << 31},
    {"2^32", 1ul << 32},
    {"2^47-4096", USER_TOP - 4096},
    {"2^47", USER_TOP},
    {"2^63-1", (1ul << 63) - 1},
    {"2^63", 1ul << 63},
    {"-4096", ~0ul - 4095},
    {"-1", ~0ul},
};

static long call3(long number, uint64_t a, uint64_t b, uint64_t c) {
    return system_call(number, (long)a, (long)b, (long)c, 0, 0, 0);
}

static long map(uint64_t address, uint64_t size, long protection) {
    return system_call(SYS_mmap, (long)address, (long)size, protection, FIXED_ANONYMOUS, -1, 0);
}

/* The same each time, whatever the last call has done to it. */
static void set_up(void) {
    call3(SYS_munmap, BASE, REGION, 0);
    map(BASE, 0x1000, 3);
    map(READ_ONLY, 0x1000, 1);
    map(NO_ACCESS, 0x1000, 0);
    for (uint64_t i = 0; i < 0x1000; i++)
        ((char *)BASE)[i] = i % 64 == 63 ? '\n' : '.';
}

static long do_write(uint64_t p, uint64_t length) { return call3(SYS_write, 1, p, length); }
static long do_writev(uint64_t p, uint64_t length) { return call3(20, 1, p, length); }
static long do_munmap(uint64_t p, uint64_t length) { return call3(SYS_munmap, p, length, 0); }
static long do_mmap(uint64_t p, uint64_t length) {
    long answer = map(p, length, 3);

    return answer < 0 ? answer : call3(SYS_munmap, p, length, 0);
}
static long do_getcpu(uint64_t p, uint64_t length) { return (void)length, call3(309, p, 0, 0); }
static long do_getcpu_node(uint64_t p, uint64_t length) { return (void)length, call3(309, 0, p, 0); }
static long do_clock(uint64_t p, uint64_t length) {
    return (void)length, call3(SYS_clock_gettime, CLOCK_MONOTONIC, p, 0);
}
static long do_sleep(uint64_t p, uint64_t length) { return (void)length, call3(SYS_nanosleep, p, 0, 0); }
static long do_get_fs(uint64_t p, uint64_t length) { return (void)length, call3(SYS_arch_prctl, ARCH_GET_FS, p, 0); }
static long do_get_gs(uint64_t p, uint64_t length) { return (void)length, call3(SYS_arch_prctl, ARCH_GET_GS, p, 0); }
static long do_ioctl(uint64_t p, uint64_t length) { return (void)length, call3(16, 1, TIOCGWINSZ, p); }

static const struct {
    const char *name;
    long (*make)(uint64_t address, uint64_t length);
    bool has_length;
} calls[] = {
    {"write", do_write, true},          {"writev", do_writev, true},
    {"munmap", do_munmap, true},        {"mmap", do_mmap, true},
    {"getcpu", do_getcpu, false},       {"getcpu_node", do_getcpu_node, false},
    {"clock_gettime", do_clock, false}, {"nanosleep", do_sleep, false},
    {"get_fs", do_get_fs, false},       {"get_gs", do_get_gs, false},
    {"ioctl", do_ioctl, false},
};

static void try_one(size_t call, size_t address, size_t length) {
    set_up();
    long answer = calls[call].make(addresses[address].value, lengths[length].value);

    print("\n= ");
    print(calls[call].name);
    print(" ");
    print(addresses[address].name);
    if (calls[call].has_length) {
        print(" ");
        print(lengths[length].name);
    }
    print(answer < 0 ? ": -" : ": ");
    print_number((uint64_t)(answer < 0 ? -answer : answer));
    print("\n");
}

/* What would take away the program itself, what root may do and others not, and what a Linux with more memory grants.
 * An address that is not aligned, and a length that is too large: the one error is as good as the other. And Linux
 * takes an address just below 2^64 for an error number. */
static bool left_out(size_t call, size_t address, size_t length) {
    uint64_t start = addresses[address].value, size = lengths[length].value;
    bool map = calls[call].make == do_mmap, unmap = calls[call].make == do_munmap;

    return ((map || unmap) && (start < BASE || (size > 4097 && size < USER_TOP - 4096))) ||
           (map && start % 4096 && (size > 4097 || start > ~0ul - 4096));
}

static int start(int argc, char **argv) {
    for (size_t call = 0; call < sizeof calls / sizeof calls[0]; call++)
        for (size_t address = 0; address < sizeof addresses / sizeof addresses[0]; address++)
            for (size_t n = 0; n < (calls[call].has_length ? sizeof lengths / sizeof lengths[0] : 1); n++)
                if ((argc < 2 || same_text(argv[1], calls[call].name)) && !left_out(call, address, n))
                    try_one(call, address, n);
    return 0;
}
