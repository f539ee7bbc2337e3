/* account.c: a layer that makes it hard for the programs, and takes stock behind them. Nothing of the kernel is
 * replaced. For tools/soak and the tests of tests/hostile.
 * SPDX-License-Identifier: MIT
 *
 * Ticks come ten times as often. Each may end the program that it strikes, as SIGKILL would: the odds are on the
 * command line, as one of the words in `odds`. When all programs have ended a thread compares the frames and stacks that
 * are free with those of the beginning. This file's name comes first in proof/: what is there at its call is all that
 * the kernel has ever taken. */
#include <kernel/smp.h>
#include <proof/proof.h>

#define SIGKILL      9
#define FASTER       10
#define MILLISECOND  1000000ul
#define TOO_LONG     (60 * 1000 * MILLISECOND)
#define ONE_IN_LATE  20
#define PATIENCE     300 /* times 10 ms, for the last task to be buried on another CPU */
#define STACK_PAGES  (KERNEL_STACK_SIZE / PAGE_SIZE)
#define STACKS_TABLE (LARGE_PAGE_SIZE / STACK_SLOT_SIZE) /* how many stacks one page table maps */

static const struct {
    const char *word;
    unsigned one_in;
} odds[] = {{"killed-often", 100}, {"killed", 3000}, {"killed-seldom", 6000}};

static unsigned one_in; /* 0: nobody is killed */
static uint32_t initial_count;

/* What the timer counts down from is the kernel's; ten times less of it on each CPU, at that CPU's first tick. */
static void go_faster(void) {
    uint32_t count = lapic_read(LAPIC_TIMER_INITIAL);
    if (!initial_count)
        initial_count = count / FASTER;
    if (count != initial_count)
        lapic_write(LAPIC_TIMER_INITIAL, initial_count);
}

/* By the time-stamp counter: with --icount the same each time. Who runs for too long has not long to go. */
static bool draw(void) {
    uint64_t number = rdtsc() * 0x9e3779b97f4a7c15;
    return one_in && (number >> 32) % (clock_now() > TOO_LONG ? ONE_IN_LATE : one_in) == 0;
}

static bool on_tick(struct trap_frame *frame) {
    lapic_write(LAPIC_EOI, 0);
    go_faster();
    sched_tick();
    if (from_user(frame) && draw())
        task_kill(frame, "the layer's lot", SIGKILL);
    return true;
}

static uint64_t frames_before, stacks_before;

/* How many there have ever been. */
static uint64_t count_stacks(void) {
    uint64_t slot = STACK_BASE;
    while (kernel_address_mapped(slot + PAGE_SIZE))
        slot += STACK_SLOT_SIZE;
    return (slot - STACK_BASE) / STACK_SLOT_SIZE;
}

static uint64_t tables(uint64_t stacks) { return (stacks + STACKS_TABLE - 1) / STACKS_TABLE; }

/* Is this thread all that is left? */
static bool alone(void) {
    for (struct pcr *pcr = smp_first; pcr; pcr = pcr->next) {
        bool idle = READ_ONCE(pcr->current) == pcr->idle || pcr == this_cpu->self;
        if (pcr->presence == CPU_ONLINE && (!idle || READ_ONCE(pcr->queue.length) || READ_ONCE(pcr->sleepers)))
            return false;
    }
    return true;
}

/* Takes all stacks that lie ready: the next one is a new one. For the very end, since it gives none of them back. */
static uint64_t count_free_stacks(uint64_t stacks) {
    uint64_t ready = 0;
    while (kernel_stack_alloc() <= STACK_BASE + stacks * STACK_SLOT_SIZE)
        ready++;
    return ready;
}

static void take_stock(void) {
    unsigned patience = PATIENCE;
    uint64_t wanted, found, stacks;
    do {
        do
            sched_sleep_until(clock_now() + 10 * MILLISECOND);
        while (!alone());
        stacks = count_stacks();
        /* A stack, once made, is kept for the next task. And this thread has a frame. */
        wanted = frames_before - 1 - (stacks - stacks_before) * STACK_PAGES - (tables(stacks) - tables(stacks_before));
        found = frame_count_free();
    } while (found != wanted && patience--);
    uint64_t switches = 0, ticks = 0;
    for (struct pcr *pcr = smp_first; pcr; pcr = pcr->next) {
        switches += pcr->switches;
        ticks += pcr->ticks;
    }
    uint64_t in_use = stacks - count_free_stacks(stacks);
    printk("account: %lu of %lu frames are back, %lu of %lu stacks are in use; %lu switches, %lu ticks\n", found,
           wanted, in_use, stacks_before + 1, switches, ticks);
}

static void account(void) {
    frames_before = frame_count_free();
    stacks_before = count_stacks();
    for (unsigned i = 0; i < ARRAY_LENGTH(odds); i++)
        if (command_line_has(odds[i].word))
            one_in = odds[i].one_in;
    trap_handle(VECTOR_TIMER, on_tick);
    struct task *thread = thread_create(take_stock);
    if (!thread)
        panic("no memory for the thread that takes stock");
    task_start(this_cpu->self, thread);
}

PROOF(NULL, account);
