/* queues.c: what a yield costs when all CPUs yield at once: on each of them two threads take turns on its run queue.
 * tools/measure/scaling.py lays it on the last stage.
 * SPDX-License-Identifier: MIT
 *
 * Threads of the kernel stay on their CPU, so there are two on each. The ticks are off meanwhile: in an emulator whose
 * time is counted in instructions of all CPUs, 64 CPUs would take 64 of them where one takes one. */
#include <kernel/smp.h>
#include <proof/proof.h>
#include <proof/results.h>

enum { ROUNDS = 5, THREADS = 2, YIELDS = 500 };

static unsigned threads, arrived, left;
static uint64_t begin, end; /* of the first one, and of the last one */

/* Makes *word the value if that is less, or more. */
static void lower(uint64_t *word, uint64_t value) {
    uint64_t old = *word;
    while (value < old && !__atomic_compare_exchange_n(word, &old, value, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        ;
}

static void raise(uint64_t *word, uint64_t value) {
    uint64_t old = *word;
    while (value > old && !__atomic_compare_exchange_n(word, &old, value, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        ;
}

static void take_turns(void) {
    lapic_write(LAPIC_LVT_TIMER, LVT_MASKED);
    __atomic_fetch_add(&arrived, 1, __ATOMIC_ACQ_REL);
    while (__atomic_load_n(&arrived, __ATOMIC_ACQUIRE) < threads) {
        schedule();
        pause();
    }
    lower(&begin, rdtsc());
    for (unsigned n = 0; n < YIELDS; n++)
        schedule();
    raise(&end, rdtsc());
    __atomic_fetch_add(&left, 1, __ATOMIC_ACQ_REL);
}

static uint64_t measure_round(unsigned cpus) {
    arrived = left = 0;
    begin = UINT64_MAX;
    end = 0;
    threads = cpus * THREADS;
    struct pcr *pcr = smp_first;
    for (unsigned n = 0; n < threads; n++) {
        struct task *thread = thread_create(take_turns);
        if (!thread)
            panic("no memory for a thread that yields");
        task_start(pcr, thread);
        pcr = n % THREADS == THREADS - 1 ? pcr->next : pcr;
    }
    while (__atomic_load_n(&left, __ATOMIC_ACQUIRE) < threads) {
        schedule(); /* this CPU's two threads */
        pause();
    }
    return end - begin;
}

static void restart_ticks(void) { clock_start_ticks(); }

static void measure_queues(void) {
    unsigned online = 0;
    for (struct pcr *pcr = smp_first; pcr && pcr->presence == CPU_ONLINE; pcr = pcr->next)
        online++;
    /* From many to few: then the ticks of those that no longer take part are off. */
    for (unsigned cpus = online; cpus; cpus /= 2) {
        uint64_t ticks[ROUNDS];
        for (unsigned n = 0; n < ROUNDS; n++)
            ticks[n] = measure_round(cpus);
        print_result("queues", cpus, (uint64_t)cpus * THREADS * YIELDS, ticks, ROUNDS);
    }
    /* The programs that come now want to be preempted. */
    for (struct pcr *pcr = smp_first->next; pcr && pcr->presence == CPU_ONLINE; pcr = pcr->next) {
        struct task *thread = thread_create(restart_ticks);
        if (thread)
            task_start(pcr, thread);
    }
}

PROOF(NULL, measure_queues);
