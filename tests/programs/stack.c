/* freestanding: runs with stack pointers that are no stack: unaligned, unmapped, in the kernel's half, not
 * canonical. The kernel must neither use nor change rsp, in a system call and when the timer interrupts.
 * `stack redzone` looks instead whether the 128 bytes below rsp, which belong to the program, are kept. */
/* SPDX-License-Identifier: MIT */
#include <freestanding.h>

#define LOOP_ROUNDS 20000000ul /* long enough for several ticks of the timer */

static const uint64_t stacks[] = {
    0,
    1,
    7,
    8,
    0x1000,
    0x7fffffffefff,
    0x7ffffffffff8,
    0x800000000000,
    0xdead000000000000,
    0xffff800000000000,
    0xffffffff80000000,
    0xffffffff80100008,
    0xfffffffffffffff8,
    0xffffffffffffffff,
};

/* One system call and one long loop with rsp set; returns what rsp was in the end. */
static uint64_t run_on(uint64_t stack, uint64_t rounds) {
    long number = SYS_getpid;

    asm volatile("xchg rsp, %1\n\t"
                 "syscall\n\t"
                 "1: dec %2\n\t"
                 "jnz 1b\n\t"
                 "mov rcx, %1\n\t"
                 "mov %1, rsp\n\t"
                 "mov rsp, rcx"
                 : "+a"(number), "+r"(stack), "+r"(rounds)
                 :
                 : "rcx", "r11", "memory", "cc");
    return number == get_pid() ? stack : ~stack;
}

static int check_stacks(void) {
    int wrong = 0;

    for (size_t i = 0; i < sizeof stacks / sizeof stacks[0]; i++) {
        uint64_t rounds = i % 4 ? 1 : LOOP_ROUNDS;

        print("rsp ");
        print_hex(stacks[i]);
        if (run_on(stacks[i], rounds) == stacks[i]) {
            print(" is kept\n");
        } else {
            print(" is NOT kept, or getpid failed\n");
            wrong++;
        }
    }
    return wrong;
}

/* clang-format off */
#define EACH_WORD(DO)                                                                                          \
    DO(8) DO(16) DO(24) DO(32) DO(40) DO(48) DO(56) DO(64) DO(72) DO(80) DO(88) DO(96) DO(104) DO(112)         \
    DO(120) DO(128)
/* clang-format on */
#define MARK(below)  "lea rcx, [rbx + " #below "]\n mov [rsp - " #below "], rcx\n"
#define CHECK(below) "lea rcx, [rbx + " #below "]\n xor rcx, [rsp - " #below "]\n or rax, rcx\n"

/* Marks the red zone, spends a system call and a loop, and returns zero if every mark is still there. */
/* clang-format off */
__attribute__((naked)) static uint64_t change_of_red_zone(uint64_t rounds) {
    (void)rounds;
    asm("push rbx\n"
        "mov rbx, 0x5afe5afe5afe5a00\n"
        EACH_WORD(MARK)
        "mov rdx, rdi\n"
        "mov eax, 39\n"
        "syscall\n"
        "1: dec rdx\n"
        "jnz 1b\n"
        "xor eax, eax\n"
        EACH_WORD(CHECK)
        "pop rbx\n"
        "ret");
}
/* clang-format on */

static int start(int argc, char **argv) {
    if (argc > 1 && same_text(argv[1], "redzone")) {
        bool kept = change_of_red_zone(LOOP_ROUNDS) == 0;

        print(kept ? "the red zone is kept\n" : "the red zone is NOT kept\n");
        return !kept;
    }
    return check_stacks();
}
