/* freestanding: executes random bytes, a few at a time, until one of them ends the program; with registers that point
 * to where it hurts. random_code SEED [PIECES]. Never to be run on Linux: one of them may be a system call.
 * It may run for ever: the layer of tests/hostile kills it then. */
/* SPDX-License-Identifier: MIT */
#include <freestanding.h>
#include <random.h>

#define LENGTH_MAX            24
#define PROT_ALL              7
#define MAP_PRIVATE_ANONYMOUS 0x22
#define TAIL                  14 /* jmp [rip + 0], and its target */

/* Openings of what ring 3 may not do, or what goes another way into the kernel: system instructions, ports, gates,
 * segments, flags, far transfers. The bytes behind are random. */
static const uint8_t openings[][3] = {
    {1, 0x0f},       {1, 0x0f},       {1, 0x0f},       {2, 0x0f, 0x00}, {2, 0x0f, 0x01}, {2, 0x0f, 0x05},
    {2, 0x0f, 0x07}, {2, 0x0f, 0x20}, {2, 0x0f, 0x22}, {2, 0x0f, 0x23}, {2, 0x0f, 0x30}, {2, 0x0f, 0x34},
    {2, 0x0f, 0x35}, {2, 0x0f, 0xae}, {2, 0x0f, 0xc7}, {1, 0x8e},       {1, 0x9d},       {1, 0xca},
    {1, 0xcb},       {1, 0xcd},       {1, 0xcf},       {1, 0xe4},       {1, 0xec},       {1, 0xee},
    {1, 0x6c},       {1, 0x6e},       {1, 0xf1},       {1, 0xf4},       {1, 0xfa},       {1, 0xff},
    {1, 0xcc},       {1, 0xc8},       {1, 0xf6},       {1, 0xd9},       {1, 0xdd},       {1, 0xc4},
};
static const uint8_t prefixes[] = {0x48, 0x66, 0xf2, 0xf3, 0xf0, 0x64, 0x65, 0x4c, 0x67};

uint8_t data[8192] __attribute__((aligned(4096)));
uint64_t registers[GENERAL], library_rsp; /* known to the assembly by name */

static const uint64_t addresses[] = {
    0,
    8,
    0x1000,
    0x7ffffffff000,
    0x7fffffffffff,
    0x800000000000,
    0xdead000000000000,
    0xffff800000000000,
    0xffffc00000002000,
    0xffffffff80000000,
    0xffffffff80100000,
    ~0ul,
};

static uint64_t random_register(void) {
    switch (random_below(4)) {
    case 0:
        return addresses[random_below(sizeof addresses / sizeof addresses[0])];
    case 1:
        return random_next();
    default:
        return (uint64_t)data + random_below(sizeof data);
    }
}

static void write_piece(uint8_t *to, const uint8_t *back) {
    size_t length = 1 + random_below(LENGTH_MAX), at = 0;

    if (random_below(4) == 0)
        to[at++] = prefixes[random_below(sizeof prefixes)];
    if (random_below(3)) {
        const uint8_t *opening = openings[random_below(sizeof openings / sizeof openings[0])];

        for (unsigned i = 1; i <= opening[0]; i++)
            to[at++] = opening[i];
    }
    while (at < length)
        to[at++] = (uint8_t)random_next();
    static const uint8_t jump[] = {0xff, 0x25, 0, 0, 0, 0};
    for (size_t i = 0; i < TAIL; i++)
        to[at + i] = i < sizeof jump ? jump[i] : (uint8_t)((uint64_t)back >> 8 * (i - sizeof jump));
}

#define LOAD(index, name) "mov " name ", [rip + registers + 8 * " #index "]\n"

/* Comes back by back_again if the piece comes to its end. */
/* clang-format off */
__attribute__((naked)) static void run(uint8_t *piece) {
    (void)piece;
    asm("push rbx\n push rbp\n push r12\n push r13\n push r14\n push r15\n"
        "mov [rip + library_rsp], rsp\n"
        "mov [rip + target], rdi\n"
        GENERAL_REGISTERS(LOAD)
        "jmp [rip + target]\n"
        "back_again:\n"
        "mov rsp, [rip + library_rsp]\n"
        "push 2\n"
        "popfq\n"
        "fninit\n"
        "pop r15\n pop r14\n pop r13\n pop r12\n pop rbp\n pop rbx\n"
        "ret");
}
/* clang-format on */

uint8_t *target;
extern const uint8_t back_again[];

static int start(int argc, char **argv) {
    uint64_t pieces = argc > 2 ? parse(argv[2], 10) : 1000;
    long page = system_call(SYS_mmap, 0, 4096, PROT_ALL, MAP_PRIVATE_ANONYMOUS, -1, 0);

    if (page < 0)
        return 1;
    random_seed(argc > 1 ? parse(argv[1], 10) : 1, (uint64_t)get_pid());
    while (pieces--) {
        uint8_t *piece = (uint8_t *)page + random_below(4096 - LENGTH_MAX - 8 - TAIL);

        write_piece(piece, back_again);
        for (int i = 0; i < GENERAL; i++)
            registers[i] = random_register();
        if (random_below(4))
            registers[RSP] = (uint64_t)data + sizeof data / 2 + 8 * random_below(64);
        run(piece);
    }
    return 0;
}
