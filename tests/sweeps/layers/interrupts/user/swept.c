/* Does the same thing again and again, each time with all registers full of patterns, while one interrupt strikes it at
 * another instruction; afterwards everything must be as before. `swept` goes through the paths of a program that runs
 * with others, of which `swept other` gives way to it at once, always; `swept idle` sleeps alone; `swept first` gives
 * way to `begun`. */
/* SPDX-License-Identifier: MIT */
#include <stdbool.h>
#include <user/ulib.h>

#define ARCH_SET_GS 0x1001
#define ARCH_SET_FS 0x1002

enum { CLOCK_MONOTONIC = 1, EFAULT = 14, NOT_MAPPED = 0x10 };

/* clang-format off */
#define GENERAL_REGISTERS(DO)                                                                                  \
    DO(0, "rax") DO(1, "rcx") DO(2, "rdx") DO(3, "rbx") DO(4, "rsp") DO(5, "rbp") DO(6, "rsi") DO(7, "rdi")    \
    DO(8, "r8") DO(9, "r9") DO(10, "r10") DO(11, "r11") DO(12, "r12") DO(13, "r13") DO(14, "r14") DO(15, "r15")
#define XMM_REGISTERS(DO)                                                                                      \
    DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12) DO(13) DO(14) DO(15)
/* clang-format on */

enum { RAX = 0, RCX = 1, RDX = 2, RSP = 4, RSI = 6, RDI = 7, R11 = 11, GENERAL = 16, XMM = 16 };

#define NAME(index, name) name,
static const char *const names[GENERAL] = {GENERAL_REGISTERS(NAME)};

struct registers {
    uint8_t xmm[XMM][16];
    uint64_t general[GENERAL], flags, fs_word, gs_word;
} __attribute__((aligned(16)));

/* The assembly knows them by name: no register is free for an address. */
struct registers before, after;
uint64_t library_rsp;
static uint64_t stack[256], stack_before[256]; /* RSP points into its middle; nothing of it may change */
static uint64_t fs_word, gs_word;
extern const char after_syscall[];

enum { LOOK, BEGIN, END }; /* of ask() */

#define GENERAL_OFFSET "256"
#define FLAGS_OFFSET   "384"
#define FS_WORD_OFFSET "392"
#define GS_WORD_OFFSET "400"
_Static_assert(offsetof(struct registers, general) == 256, "GENERAL_OFFSET");
_Static_assert(offsetof(struct registers, flags) == 384, "FLAGS_OFFSET");
_Static_assert(offsetof(struct registers, fs_word) == 392, "FS_WORD_OFFSET");
_Static_assert(offsetof(struct registers, gs_word) == 400, "GS_WORD_OFFSET");

#define LOAD(index, name)  "mov " name ", [rip + before + " GENERAL_OFFSET " + 8 * " #index "]\n"
#define STORE(index, name) "mov [rip + after + " GENERAL_OFFSET " + 8 * " #index "], " name "\n"
#define LOAD_XMM(n)        "movups xmm" #n ", [rip + before + 16 * " #n "]\n"
#define STORE_XMM(n)       "movups [rip + after + 16 * " #n "], xmm" #n "\n"

#define ARM    "int 0x81\n"
#define DISARM "int 0x82\n"

/* Loads all registers from `before`, does `middle`, stores all to `after`. */
/* clang-format off */
#define PASS(name, middle)                                                                                     \
    __attribute__((naked)) static void name(void) {                                                            \
        asm("push rbx\n push rbp\n push r12\n push r13\n push r14\n push r15\n"                                \
            "mov [rip + library_rsp], rsp\n"                                                                   \
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
            "mov rax, fs:[0]\n"                                                                                \
            "mov [rip + after + " FS_WORD_OFFSET "], rax\n"                                                    \
            "mov rax, gs:[0]\n"                                                                                \
            "mov [rip + after + " GS_WORD_OFFSET "], rax\n"                                                    \
            "pop r15\n pop r14\n pop r13\n pop r12\n pop rbp\n pop rbx\n"                                      \
            "ret");                                                                                            \
    }
/* clang-format on */

PASS(pass_syscall, ARM "syscall\n after_syscall:\n" DISARM)
PASS(pass_breakpoint, ARM "int3\n" DISARM)
PASS(pass_page_fault, ARM "mov al, [rdx]\n" DISARM)
/* Gives way until the sweeps are over, which the kernel says in bit 1. */
PASS(pass_turns, "1: mov eax, 24\n syscall\n int 0x83\n test al, 2\n jz 1b\n after_turns:\n")

/* A linear congruential generator; each program has its own sequence, so that no two have equal registers. */
static uint64_t seed;

static uint64_t next_pattern(void) {
    seed = seed * 6364136223846793005ul + 1442695040888963407ul;
    return seed ^ seed >> 29;
}

/* CF, PF, AF, ZF, SF, DF, OF, NT, AC and ID; IF and bit 1 are always set. */
#define FLAGS(pattern) (0x202 | ((pattern)&0x244cd5))

static void fill(void) {
    for (int i = 0; i < GENERAL; i++)
        before.general[i] = next_pattern();
    for (int i = 0; i < XMM; i++)
        for (int j = 0; j < 16; j++)
            before.xmm[i][j] = (uint8_t)(next_pattern() >> 24);
    for (int i = 0; i < 256; i++)
        stack[i] = stack_before[i] = next_pattern();
    before.general[RSP] = (uint64_t)&stack[128];
    before.flags = FLAGS(next_pattern());
}

static int wrong;
static unsigned rounds; /* of this path; the kernel counts them as well */

static void expect(const char *what, uint64_t wanted, uint64_t found) {
    if (wanted == found)
        return;
    wrong++;
    printf("swept: round %u: %s should be 0x%lx and is 0x%lx\n", rounds, what, wanted, found);
}

static void check(void) {
    for (int i = 0; i < GENERAL; i++)
        expect(names[i], before.general[i], after.general[i]);
    for (int i = 0; i < XMM; i++)
        for (int j = 0; j < 16; j++)
            expect("a byte of an xmm register", before.xmm[i][j], after.xmm[i][j]);
    for (int i = 0; i < 256; i++)
        expect("a word around the stack pointer", stack_before[i], stack[i]);
    expect("rflags", before.flags, after.flags);
    expect("the word at the FS base", fs_word, after.fs_word);
    expect("the word at the GS base", gs_word, after.gs_word);
}

static void call(long number, uint64_t first, uint64_t second, uint64_t result) {
    fill();
    before.general[RAX] = (uint64_t)number;
    before.general[RDI] = first;
    before.general[RSI] = second;
    pass_syscall();
    before.general[RAX] = result;
    before.general[RCX] = (uint64_t)after_syscall;
    before.general[R11] = before.flags;
    check();
}

static struct timespec when;
static int me;

static void call_getpid(void) { call(SYS_getpid, 0, 0, (uint64_t)me); }
static void call_yield(void) { call(SYS_sched_yield, 0, 0, 0); }
static void call_clock(void) { call(SYS_clock_gettime, CLOCK_MONOTONIC, (uint64_t)&when, 0); }
static void call_clock_wrongly(void) { call(SYS_clock_gettime, CLOCK_MONOTONIC, NOT_MAPPED, (uint64_t)-EFAULT); }

static void breakpoint(void) {
    fill();
    pass_breakpoint();
    check();
}

static void page_fault(void) {
    fill();
    before.general[RDX] = NOT_MAPPED + seed % 4096;
    pass_page_fault();
    check();
}

static void sleep_shortly(void) {
    when = (struct timespec){0, 1};
    call(SYS_nanosleep, (uint64_t)&when, 0, 0);
}

/* In: BEGIN a sweep, or END them all, or just LOOK. Returns 1 if the last one is over. */
static long ask(long what) {
    long answer;
    asm volatile("int 0x83" : "=a"(answer) : "D"(what) : "memory");
    return answer;
}

/* Until the kernel says that it has struck everywhere. After each round the other program is brought to its own system
 * call again, from wherever an interrupt has left it, so that each round begins in the same way. */
static void sweep(const char *name, void (*path)(void)) {
    printf("sweep: path %s\n", name);
    ask(BEGIN);
    for (rounds = 0; !ask(LOOK); sched_yield(), rounds++)
        path();
}

/* Yields to a task that runs for the first time, once more; it waits for that in int 0x84. */
static void yield_to_new_task(void) {
    long begins = 0;
    for (int i = 0; i < 100 && !begins; i++) {
        sched_yield();
        asm volatile("int 0x84" : "=a"(begins) : "D"(0l) : "memory");
    }
    expect("a task that waits to begin anew", 1, (uint64_t)begins);
    call_yield();
}

static void be_the_other(void) {
    fill();
    before.general[RDI] = LOOK;
    pass_turns();
    before.general[RAX] = after.general[RAX];
    before.general[RCX] = after.general[RCX];
    before.general[R11] = after.general[R11];
    before.flags = after.flags; /* the loop's own */
    check();
}

int main(int argc, char **argv) {
    for (int i = 0; i < 20; i++)
        sched_yield(); /* until the kernel's own threads have ended */
    me = getpid();
    seed = (uint64_t)me;
    fs_word = next_pattern();
    gs_word = next_pattern();
    system_call(SYS_arch_prctl, ARCH_SET_FS, (long)&fs_word, 0, 0, 0, 0);
    system_call(SYS_arch_prctl, ARCH_SET_GS, (long)&gs_word, 0, 0, 0, 0);
    if (argc > 1 && strcmp(argv[1], "idle") == 0) {
        sweep("idle", sleep_shortly);
    } else if (argc > 1 && strcmp(argv[1], "first") == 0) {
        sweep("first-run", yield_to_new_task);
    } else if (argc > 1) {
        be_the_other();
    } else {
        sweep("syscall", call_getpid);
        sweep("switch", call_yield);
        sweep("user-copy", call_clock);
        sweep("user-copy-fault", call_clock_wrongly);
        sweep("interrupt", breakpoint);
        sweep("page-fault", page_fault);
    }
    if (argc == 1 || strcmp(argv[1], "other") != 0)
        ask(END);
    printf("swept: %d wrong\n", wrong);
    return wrong != 0;
}
