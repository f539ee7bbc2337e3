/* freestanding: random system calls with bad arguments, among good ones. random_calls SEED [ROUNDS].
 * Never to be run on Linux. It keeps to memory of its own and does not exit or sleep long, so it comes to its end with
 * status 0; 1 if a call has changed a register, or has answered with a number that is an address of the kernel. */
/* SPDX-License-Identifier: MIT */
#include <freestanding.h>
#include <random.h>

#define SANDBOX       0x10000000ul /* where it maps and unmaps at will */
#define SANDBOX_PAGES 8
#define KERNELS_HALF  0xffff800000000000ul
#define ERRNO_MAX     4095

enum { NANOSLEEP = 35, WRITE = 1, WRITEV = 20, MMAP = 9, MUNMAP = 11, BRK = 12, EXIT = 60, EXIT_GROUP = 231 };

static const uint16_t numbers[] = {WRITE, MMAP, MUNMAP, BRK, 16,  WRITEV, 24, NANOSLEEP, 39,
                                   158,   186,  218,    228, 309, 0,      2,  57,        511};

static uint8_t data[4096] __attribute__((aligned(4096)));
static uint64_t nap[2];

static const uint64_t words[] = {
    0,
    1,
    7,
    16,
    0xfff,
    0x1000,
    0x1001,
    0x10000,
    0x1002,
    0x1003,
    0x7fffffff,
    0x80000000,
    0xffffffff,
    1ul << 32 | 1,
    1ul << 46,
    0x7ffffffff000,
    0x7fffffffffff,
    0x800000000000,
    0x800000001000,
    1ul << 62,
    1ul << 63,
    0xdead000000000000,
    KERNELS_HALF,
    0xffffc00000003ff8,
    0xffffffff80000000,
    ~0ul - 0xfff,
    ~0ul,
};

static uint64_t random_word(void) {
    switch (random_below(4)) {
    case 0:
        return random_next() >> random_below(64);
    case 1:
        return (uint64_t)data + random_below(2 * sizeof data) - sizeof data / 2;
    case 2:
        return SANDBOX + 4096 * random_below(SANDBOX_PAGES);
    default:
        return words[random_below(sizeof words / sizeof words[0])];
    }
}

/* No address within this program but its data, whatever the rounding; nothing that would print for long, or take all
 * memory, for which many CPUs would stand in line. */
static void tame(uint64_t number, uint64_t argument[6]) {
    uint64_t address = argument[0];

    if ((number == WRITE || number == WRITEV) && random_below(8) == 0)
        argument[0] = 1 + random_below(2);
    if (number == NANOSLEEP && address < KERNELS_HALF)
        argument[0] = random_below(2) ? (uint64_t)nap : 0;
    if (number == WRITE && argument[2] < 1ul << 47)
        argument[2] %= 64;
    if (number == WRITEV) /* nothing but zeros: pieces of no length */
        argument[1] = argument[1] < KERNELS_HALF && random_below(2) ? 0x10 : (uint64_t)nap;
    if ((number == MMAP || number == MUNMAP) && (address < SANDBOX || address < 0x7fff00000000) &&
        address - SANDBOX >= SANDBOX_PAGES * 4096)
        argument[0] = SANDBOX + address % (SANDBOX_PAGES * 4096);
    if (number == BRK && address < 1ul << 47)
        argument[0] = (uint64_t)data + address % 0x8000;
    if ((number == MMAP || number == MUNMAP) && argument[1] < 1ul << 47)
        argument[1] %= SANDBOX_PAGES * 4096;
}

static bool call(uint64_t number, const uint64_t argument[6]) {
    uint64_t after[6], answer;
    register uint64_t r10 asm("r10") = argument[3];
    register uint64_t r8 asm("r8") = argument[4];
    register uint64_t r9 asm("r9") = argument[5];
    after[0] = argument[0], after[1] = argument[1], after[2] = argument[2];

    asm volatile("syscall"
                 : "=a"(answer), "+D"(after[0]), "+S"(after[1]), "+d"(after[2]), "+r"(r10), "+r"(r8), "+r"(r9)
                 : "a"(number)
                 : "rcx", "r11", "memory");
    after[3] = r10, after[4] = r8, after[5] = r9;
    bool kept = answer < KERNELS_HALF || -answer <= ERRNO_MAX;
    for (int i = 0; i < 6; i++)
        kept &= after[i] == argument[i];
    if (!kept) {
        print("random_calls: number ");
        print_hex(number);
        print(" answers ");
        print_hex(answer);
        print(", or changes a register\n");
    }
    return kept;
}

static int start(int argc, char **argv) {
    uint64_t rounds = argc > 2 ? parse(argv[2], 10) : 1000;

    random_seed(argc > 1 ? parse(argv[1], 10) : 1, (uint64_t)get_pid());
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = i % 32 == 31 ? '\n' : (uint8_t)('a' + i % 32);
    while (rounds--) {
        uint64_t number = numbers[random_below(sizeof numbers / sizeof numbers[0])], argument[6];

        if (random_below(8) == 0)
            number = random_below(2) ? random_next() : number | random_next() << 32;
        for (int i = 0; i < 6; i++)
            argument[i] = random_word();
        if (random_below(2) && (uint32_t)number == MMAP)
            argument[3] = 0x22 | (random_next() & 0x10);
        tame((uint32_t)number, argument);
        nap[0] = nap[1] = 0;
        if ((uint32_t)number != EXIT && (uint32_t)number != EXIT_GROUP && !call(number, argument))
            return 1;
    }
    return 0;
}
