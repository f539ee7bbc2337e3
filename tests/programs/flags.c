/* freestanding: every combination of the flags that a program may set, over every way into the kernel and back.
 * flags syscall: 1,024 combinations, each over a system call.
 * flags timer [MICROSECONDS]: the same, each over a loop of that length, in which ticks strike.
 * flags ud|bp|de|pf|gp NUMBER|pid: one combination of 128, with TF, over an exception that ends the program. pid: the
 * low bits of the task's number, so that 128 copies try them all. (Bits and order: SURVIVING, FAULTING below, which
 * tests/hostile/test_flags.py repeats.) */
/* SPDX-License-Identifier: MIT */
#include <freestanding.h>

#define CLOCK_MONOTONIC 1
#define ALWAYS_SET      0x202ul /* bit 1 reads as one; IF is set in ring 3 */
#define LOOPS           2000

static const uint8_t surviving[] = {0, 2, 4, 6, 7, 10, 11, 14, 18, 21}; /* CF PF AF ZF SF DF OF NT AC ID */
static const uint8_t faulting[] = {0, 8, 10, 11, 14, 18, 21};           /* CF TF DF OF NT AC ID */

static uint64_t combination(unsigned number, const uint8_t *bits, unsigned count) {
    uint64_t flags = ALWAYS_SET;

    for (unsigned i = 0; i < count; i++)
        flags |= (uint64_t)(number >> i & 1) << bits[i];
    return flags;
}

/* Nothing stands between the two but what is tried: DF would upset the string instructions of compiled code, AC its
 * unaligned accesses. LOOP changes no flag. Returns those that were found behind it. */
#define OVER(code)                                                                                                     \
    ({                                                                                                                 \
        uint64_t found_ = flags, rax_ = SYS_getpid, rcx_ = LOOPS;                                                      \
        asm volatile("pushfq\n push %0\n popfq\n" code "\n pushfq\n pop %0\n popfq"                                    \
                     : "+r"(found_), "+a"(rax_), "+c"(rcx_)                                                            \
                     :                                                                                                 \
                     : "r11", "memory", "cc");                                                                         \
        found_;                                                                                                        \
    })

static uint64_t over_syscall(uint64_t flags) { return OVER("syscall"); }

static uint64_t over_loop(uint64_t flags) { return OVER("1: loop 1b"); }

static uint64_t microseconds(void) {
    uint64_t now[2] = {0, 0};

    system_call(SYS_clock_gettime, CLOCK_MONOTONIC, (long)now, 0, 0, 0, 0);
    return now[0] * 1000000 + now[1] / 1000;
}

/* Loops for so long that at least one tick comes, and goes on with what was found, so that a change stays seen. */
static uint64_t over_ticks(uint64_t flags, uint64_t duration) {
    for (uint64_t end = microseconds() + duration; microseconds() < end;)
        for (int i = 0; i < 100; i++)
            flags = over_loop(flags);
    return flags;
}

static int survive(bool timer, uint64_t duration) {
    unsigned wrong = 0;

    for (unsigned number = 0; number < 1u << sizeof surviving; number++) {
        uint64_t flags = combination(number, surviving, sizeof surviving);
        uint64_t found = timer ? over_ticks(flags, duration) : over_syscall(flags);

        if (found != flags && wrong++ < 10) {
            print("flags: were ");
            print_hex(flags);
            print(" and are ");
            print_hex(found);
            print("\n");
        }
    }
    print("flags: ");
    print_number(wrong);
    print(" of 1024 combinations came back changed\n");
    return wrong != 0;
}

/* The exception comes from the very first instruction behind POPFQ: with TF, too, nothing comes before. */
#define FAULT(name, code)                                                                                              \
    __attribute__((naked, noreturn)) static void fault_##name(uint64_t flags) {                                        \
        (void)flags;                                                                                                   \
        asm("xor eax, eax\n xor ecx, ecx\n push rdi\n popfq\n" code "\n1: jmp 1b");                                    \
    }
FAULT(ud, "ud2")
FAULT(bp, "int3")
FAULT(de, "div ecx")
FAULT(pf, "mov eax, [rax]")
FAULT(gp, "cli")

static const struct {
    const char *name;
    void (*raise)(uint64_t flags);
} faults[] = {{"ud", fault_ud}, {"bp", fault_bp}, {"de", fault_de}, {"pf", fault_pf}, {"gp", fault_gp}};

static int start(int argc, char **argv) {
    if (argc == 2 && same_text(argv[1], "syscall"))
        return survive(false, 0);
    if (argc >= 2 && same_text(argv[1], "timer"))
        return survive(true, argc > 2 ? parse(argv[2], 10) : 1000);
    for (size_t i = 0; argc == 3 && i < sizeof faults / sizeof faults[0]; i++)
        if (same_text(argv[1], faults[i].name)) {
            uint64_t number = same_text(argv[2], "pid") ? (uint64_t)get_pid() : parse(argv[2], 10);

            faults[i].raise(combination((unsigned)number, faulting, sizeof faulting));
        }
    print("flags: what?\n");
    return 2;
}
