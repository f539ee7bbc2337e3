/* sweep.c: one interrupt of the local APIC's timer, n counts after a program has asked for it, for each n in turn. So
 * whatever the program does next is struck at every instruction at which interrupts are on.
 * With the programs of this layer; tools/sweeping/interrupts.py lays it on the last stage, which it leaves as it is.
 * SPDX-License-Identifier: MIT
 *
 * A program asks by `int`, because that changes no register of its own. */
#include <kernel/lapic.h>
#include <kernel/protect.h>
#include <kernel/sched.h>
#include <proof/proof.h>

/* The timer's vector in a sweep, and those of the programs. */
enum { VECTOR_STRIKE = 0x41, VECTOR_ARM = 0x81, VECTOR_DISARM = 0x82, VECTOR_OVER = 0x83, VECTOR_ANEW = 0x84 };

enum { DIVIDE_BY_1 = 0xb, DIVIDE_BY_16 = 3 };

#define MOST_RUNS   4000
#define MOST_ROUNDS 20000
#define HALTED      400   /* rounds that end in HLT: from then on all of them do */
#define LATER       20000 /* counts: for whoever sleeps, and was not there yet when the interrupt came */
#define POISON      0xbad0bad0bad0bad0
#define NOT_MAPPED  0x10ul /* of no program */
#define CALIBRATION 800    /* rounds of a loop of two instructions */

/* Rounds that follow each other and were struck at the same place. */
static struct run {
    unsigned first, last;
    uint64_t rip, cs;
} runs[MOST_RUNS];

static unsigned length, n, halted, wrong_cr2, wrong_state, lost;
static bool asked, armed, over, all_over;
static struct task *parked;

/* A debugger stops here, at the beginning of a round in which nothing strikes. */
__attribute__((noinline)) void sweep_quiet_round(void) { __asm__ volatile("" : : : "memory"); }

static void count_down(uint32_t counts) {
    lapic_write(LAPIC_LVT_TIMER, VECTOR_STRIKE);
    lapic_write(LAPIC_TIMER_INITIAL, counts);
}

static void note(const struct trap_frame *frame) {
    struct run *run = length ? &runs[length - 1] : NULL;
    if (!run || run->rip != frame->rip) {
        if (length == MOST_RUNS)
            panic("sweep: more places than there is room for");
        run = &runs[length++];
        *run = (struct run){n, n, frame->rip, frame->cs};
    }
    run->last = n;
}

static bool behind_hlt(const struct trap_frame *frame) {
    return !from_user(frame) && *(const uint8_t *)(frame->rip - 1) == 0xf4;
}

/* What C takes for granted: DF and AC are clear, GS base is the PCR, and the stack is the current task's own. */
static bool state_is_right(void) {
    uint64_t stack = (uint64_t)__builtin_frame_address(0), top = current()->kernel_stack_top;
    bool own_stack = current() == this_cpu->idle || (stack < top && stack >= top - KERNEL_STACK_SIZE);
    return !(read_rflags() & (RFLAGS_DF | RFLAGS_AC)) && rdmsr(MSR_GS_BASE) == (uint64_t)this_cpu->self && own_stack;
}

/* What an interrupt may do, and a mistake in the order of the entries and exits does not bear: use the scratch word of
 * syscall_entry, as the next program's system call would, and fault, which changes CR2. Then it is the kernel's own. */
static bool strike(struct trap_frame *frame) {
    char byte;
    wrong_state += !state_is_right();
    if (armed)
        note(frame);
    if (armed && behind_hlt(frame))
        halted++;
    if (behind_hlt(frame) && this_cpu->queue.length)
        lost++; /* halted, with somebody waiting: a wake-up was lost */
    armed = false;
    this_cpu->user_rsp = POISON;
    if (copy_from_user(&byte, NOT_MAPPED, 1))
        panic("sweep: a program has memory at 0x%lx", NOT_MAPPED);
    count_down(LATER);
    frame->vector = VECTOR_TIMER;
    bool done = trap_try(frame);
    frame->vector = VECTOR_STRIKE;
    return done;
}

static bool arm(struct trap_frame *frame) {
    if (over)
        return true;
    asked = true;
    armed = n > 0;
    if (!armed)
        sweep_quiet_round();
    count_down(n ? n : LATER);
    return true;
}

static void report(void) {
    for (struct run *run = runs; run < runs + length; run++)
        printk("sweep: struck %u %u 0x%016lx ring %lu\n", run->first, run->last, run->rip, run->cs & 3);
    printk("sweep: rounds %u wrong-cr2 %u wrong-state %u lost-wake-ups %u\n", n, wrong_cr2, wrong_state, lost);
    length = n = halted = wrong_cr2 = wrong_state = lost = 0;
    over = true;
}

/* The end of a round. A round in which the path was over first is the last one. */
static bool disarm(struct trap_frame *frame) {
    lapic_write(LAPIC_TIMER_INITIAL, 0);
    if (!asked)
        return true;
    asked = false;
    if (armed || halted == HALTED || n == MOST_ROUNDS)
        report();
    else
        n++;
    armed = false;
    return true;
}

/* The task that is parked runs for the first time, once more. */
static bool begin_parked(void) {
    struct task *task = parked;
    parked = NULL;
    if (task) {
        task->state = TASK_READY;
        task_start(this_cpu->self, task);
    }
    return task;
}

/* In: rdi = 1 to leave this program where it is until another lets it begin anew, 0 to do so. Out: rax = whether there
 * was one to begin. */
static bool begin_anew(struct trap_frame *frame) {
    if (!frame->rdi) {
        frame->rax = begin_parked();
        return true;
    }
    parked = current();
    parked->state = TASK_SLEEPS;
    schedule();
    panic("sweep: a task goes on that was to begin anew");
}

/* In: rdi = BEGIN another path, or END them. Out: rax = whether the last one is over, and whether all are. */
static bool tell_whether_over(struct trap_frame *frame) {
    enum { BEGIN = 1, END = 2 };
    if (frame->rdi == BEGIN)
        over = false;
    if (frame->rdi == END) {
        all_over = true;
        begin_parked();
    }
    frame->rax = over | all_over << 1;
    return true;
}

/* A breakpoint is reported behind its instruction: the program goes on. */
static bool nothing(struct trap_frame *frame) { return true; }

/* A program's page fault is passed over; RDX says where it was, and CR2 should. Ring 0's is the kernel's affair. */
static bool page_fault(struct trap_frame *frame) {
    if (!from_user(frame)) {
        user_copy_init();
        bool done = trap_try(frame);
        trap_handle(VECTOR_PF, page_fault);
        return done;
    }
    wrong_cr2 += read_cr2() != frame->rdx;
    frame->rip += 2; /* the length of the instruction in swept.c */
    return true;
}

/* One count is to be one instruction. QEMU with -icount counts 16 for each, Bochs about one. */
static void choose_divider(void) {
    lapic_write(LAPIC_TIMER_DIVIDE, DIVIDE_BY_1);
    lapic_write(LAPIC_TIMER_INITIAL, UINT32_MAX);
    uint64_t rounds = CALIBRATION;
    __asm__ volatile("1: dec %0; jnz 1b" : "+r"(rounds));
    uint32_t counts = UINT32_MAX - lapic_read(LAPIC_TIMER_CURRENT);
    lapic_write(LAPIC_TIMER_INITIAL, 0);
    if (counts > 8 * CALIBRATION)
        lapic_write(LAPIC_TIMER_DIVIDE, DIVIDE_BY_16);
    printk("sweep: %u counts for a loop of %u rounds\n", counts, CALIBRATION);
}

static void sweep_init(void) {
    choose_divider();
    trap_handle(VECTOR_STRIKE, strike);
    trap_handle(VECTOR_ARM, arm);
    trap_handle(VECTOR_DISARM, disarm);
    trap_handle(VECTOR_OVER, tell_whether_over);
    trap_handle(VECTOR_ANEW, begin_anew);
    trap_handle(VECTOR_BP, nothing);
    trap_handle(VECTOR_PF, page_fault);
    for (unsigned vector = VECTOR_ARM; vector <= VECTOR_ANEW; vector++)
        idt_allow_user(vector);
}

PROOF(NULL, sweep_init);
