/* freestanding: fills every register that a program can see with changing patterns and looks whether they are
 * all kept: over the timer's preemption (a long loop without system calls) and over system calls.
 * The selectors are not among them: those of DS and ES are not kept. soak [MILLISECONDS]. Several copies and CPUs at
 * once make it a test of the task switch. */
/* SPDX-License-Identifier: MIT */
#include <freestanding.h>

#define LOOP_ROUNDS          300000
#define CALLS_PER_LOOP       50
#define ROUNDS_WITHOUT_CLOCK 10 /* where the kernel has no clock_gettime */

#define CLOCK_MONOTONIC 1

#define CF               (1ul << 0)
#define PF               (1ul << 2)
#define AF               (1ul << 4)
#define ZF               (1ul << 6)
#define SF               (1ul << 7)
#define DF               (1ul << 10)
#define OF               (1ul << 11)
#define NT               (1ul << 14)
#define AC               (1ul << 18)
#define ID               (1ul << 21)
#define FLAGS_ALWAYS_SET 0x202ul

struct registers {
    uint8_t xmm[XMM][16];
    uint64_t general[GENERAL];
    uint64_t flags, x87_value, fs_word, gs_word;
    uint32_t mxcsr;
    uint16_t x87_control;
} __attribute__((aligned(16)));

/* Known to the assembly by name: while the patterns are in place no register can hold an address. */
struct registers before, after;
uint64_t loop_rounds, library_rsp;
uint64_t fs_block[64], gs_block[64];
extern const char after_syscall[];

#define GENERAL_OFFSET     "256"
#define FLAGS_OFFSET       "384"
#define X87_VALUE_OFFSET   "392"
#define FS_WORD_OFFSET     "400"
#define GS_WORD_OFFSET     "408"
#define MXCSR_OFFSET       "416"
#define X87_CONTROL_OFFSET "420"
_Static_assert(offsetof(struct registers, general) == 256, "GENERAL_OFFSET");
_Static_assert(offsetof(struct registers, flags) == 384, "FLAGS_OFFSET");
_Static_assert(offsetof(struct registers, x87_value) == 392, "X87_VALUE_OFFSET");
_Static_assert(offsetof(struct registers, fs_word) == 400, "FS_WORD_OFFSET");
_Static_assert(offsetof(struct registers, gs_word) == 408, "GS_WORD_OFFSET");
_Static_assert(offsetof(struct registers, mxcsr) == 416, "MXCSR_OFFSET");
_Static_assert(offsetof(struct registers, x87_control) == 420, "X87_CONTROL_OFFSET");

#define LOAD(index, name)  "mov " name ", [rip + before + " GENERAL_OFFSET " + 8 * " #index "]\n"
#define STORE(index, name) "mov [rip + after + " GENERAL_OFFSET " + 8 * " #index "], " name "\n"
#define LOAD_XMM(n)        "movups xmm" #n ", [rip + before + 16 * " #n "]\n"
#define STORE_XMM(n)       "movups [rip + after + 16 * " #n "], xmm" #n "\n"

/* Loads all registers from `before`, does `middle`, stores all to `after`. rsp gets a pattern like the others:
 * ring 3 may keep anything in it, and the kernel must not use it. */
/* clang-format off */
#define PASS(name, middle)                                                                                     \
    __attribute__((naked)) static void name(void) {                                                            \
        asm("push rbx\n push rbp\n push r12\n push r13\n push r14\n push r15\n"                                \
            "mov [rip + library_rsp], rsp\n"                                                                   \
            "ldmxcsr [rip + before + " MXCSR_OFFSET "]\n"                                                      \
            "fninit\n"                                                                                         \
            "fldcw [rip + before + " X87_CONTROL_OFFSET "]\n"                                                  \
            "fld qword ptr [rip + before + " X87_VALUE_OFFSET "]\n"                                            \
            XMM_REGISTERS(LOAD_XMM)                                                                            \
            "push qword ptr [rip + before + " FLAGS_OFFSET "]\n"                                               \
            "popfq\n"                                                                                          \
            GENERAL_REGISTERS(LOAD)                                                                            \
            middle                                                                                             \
            GENERAL_REGISTERS(STORE)                                                                           \
            "mov rsp, [rip + library_rsp]\n"                                                                   \
            "pushfq\n"                                                                                         \
            "pop qword ptr [rip + after + " FLAGS_OFFSET "]\n"                                                 \
            "push 2\n"                                                                                         \
            "popfq\n"                                                                                          \
            XMM_REGISTERS(STORE_XMM)                                                                           \
            "fstp qword ptr [rip + after + " X87_VALUE_OFFSET "]\n"                                            \
            "fnstcw [rip + after + " X87_CONTROL_OFFSET "]\n"                                                  \
            "stmxcsr [rip + after + " MXCSR_OFFSET "]\n"                                                       \
            "mov rax, fs:[0]\n"                                                                                \
            "mov [rip + after + " FS_WORD_OFFSET "], rax\n"                                                    \
            "mov rax, gs:[0]\n"                                                                                \
            "mov [rip + after + " GS_WORD_OFFSET "], rax\n"                                                    \
            "pop r15\n pop r14\n pop r13\n pop r12\n pop rbp\n pop rbx\n"                                      \
            "ret");                                                                                            \
    }
/* clang-format on */

PASS(pass_with_loop, "1: dec qword ptr [rip + loop_rounds]\n jnz 1b\n")
PASS(pass_with_syscall, "syscall\n after_syscall:\n")

/* A linear congruential generator; each task has its own sequence, so that no two have equal registers. */
static uint64_t seed;

static uint64_t next_pattern(void) {
    seed = seed * 6364136223846793005ul + 1442695040888963407ul;
    return seed ^ seed >> 29;
}

static void fill(uint64_t flag_bits) {
    for (int i = 0; i < GENERAL; i++)
        before.general[i] = next_pattern();
    for (int i = 0; i < XMM; i++)
        for (int j = 0; j < 16; j++)
            before.xmm[i][j] = (uint8_t)(next_pattern() >> 24);
    before.flags = FLAGS_ALWAYS_SET | (next_pattern() & flag_bits);
    before.x87_value = next_pattern() >> 12 | 0x3ffull << 52; /* a number between 1 and 2 */
    before.x87_control = (uint16_t)(0x37f | (next_pattern() & 0xc00));
    before.mxcsr = (uint32_t)(0x1f80 | (next_pattern() & 0x603f));
}

static bool same(const char *name, uint64_t wanted, uint64_t found) {
    if (wanted == found)
        return true;
    print("soak: ");
    print(name);
    print(" should be ");
    print_hex(wanted);
    print(" and is ");
    print_hex(found);
    print("\n");
    return false;
}

static bool same_after(const char *what) {
    bool all = true;

    for (int i = 0; i < GENERAL; i++)
        all &= same(register_names[i], before.general[i], after.general[i]);
    for (int i = 0; i < XMM; i++)
        for (int j = 0; j < 16; j++)
            all &= same("a byte of an xmm register", before.xmm[i][j], after.xmm[i][j]);
    all &= same("rflags", before.flags, after.flags);
    all &= same("the x87 stack's top", before.x87_value, after.x87_value);
    all &= same("the x87 control word", before.x87_control, after.x87_control);
    all &= same("mxcsr", before.mxcsr, after.mxcsr);
    all &= same("the word at the FS base", before.fs_word, after.fs_word);
    all &= same("the word at the GS base", before.gs_word, after.gs_word);
    if (!all) {
        print("soak: after ");
        print(what);
        print("\n");
    }
    return all;
}

static bool survive_loop(void) {
    fill(CF | DF | NT | AC | ID);
    loop_rounds = LOOP_ROUNDS;
    pass_with_loop();
    before.flags |= ZF | PF; /* what the last `dec` leaves; it does not change CF */
    return same_after("a loop");
}

static bool survive_syscall(void) {
    fill(CF | PF | AF | ZF | SF | OF | DF | NT | AC | ID);
    before.general[RAX] = SYS_getpid;
    pass_with_syscall();
    before.general[RAX] = (uint64_t)get_pid();
    before.general[RCX] = (uint64_t)after_syscall;
    before.general[R11] = before.flags;
    return same_after("a system call");
}

#include <soak_rest.h>

static long milliseconds(void) {
    long now[2] = {0, 0};

    if (system_call(SYS_clock_gettime, CLOCK_MONOTONIC, (long)now, 0, 0, 0, 0) != 0)
        return -1;
    return now[0] * 1000 + now[1] / 1000000;
}

static int start(int argc, char **argv) {
    long duration = argc > 1 ? (long)parse(argv[1], 10) : 100;
    long begin = milliseconds();

    /* Bases and words that differ from task to task. */
    bool restless = argc > 2;
    seed = (uint64_t)get_pid() + (restless ? parse(argv[2], 10) << 16 : 0);
    next_pattern();
    size_t index = (size_t)get_pid() % 64;
    before.fs_word = fs_block[index] = next_pattern();
    before.gs_word = gs_block[index] = next_pattern();
    if (system_call(SYS_arch_prctl, ARCH_SET_FS, (long)&fs_block[index], 0, 0, 0, 0) != 0 ||
        system_call(SYS_arch_prctl, ARCH_SET_GS, (long)&gs_block[index], 0, 0, 0, 0) != 0) {
        print("soak: the kernel refuses to set the FS or GS base\n");
        return 1;
    }
    for (int round = 0; begin < 0 ? round < ROUNDS_WITHOUT_CLOCK : milliseconds() - begin < duration; round++) {
        if (!survive_loop())
            return 1;
        for (int i = 0; i < CALLS_PER_LOOP; i++)
            if (!survive_syscall())
                return 1;
        if (!survive_in_memory())
            return 1;
        if (restless)
            rest();
    }
    print("soak: every register was kept\n");
    if (argc > 3)
        end_by(argv[3]);
    return 0;
}
