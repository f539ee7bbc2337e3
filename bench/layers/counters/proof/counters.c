/* counters.c: what it costs to count on several CPUs at once: each in its own PCR, all in one word by an atomic
 * instruction, or all in one word under a lock. tools/measure/counters.py lays it on the last stage.
 * SPDX-License-Identifier: MIT
 *
 * The boot CPU takes part; on each of the others a thread does. CPUs that do not take part are halted, so that in an
 * emulator they take no time from the others. */
#include <kernel/smp.h>
#include <proof/proof.h>
#include <proof/results.h>

enum { ROUNDS = 9, WARM_UP = 9, MOST_CPUS = 8, MANY = 500000, FEW = 1000, AT_ONCE = 16 };

#define PATIENCE 50000000 /* ns */

/* Without it the compiler would make one addition of all. */
#define ANEW() __asm__ volatile("" : : : "memory")

static struct {
    _Alignas(64) uint64_t atomic;
    _Alignas(64) uint64_t locked;
    struct lock lock;
} shared;

/* A way to count n times; gives how often it has. */
typedef uint64_t way_to_count(uint64_t n);

static way_to_count *way;
static uint64_t times, deadline, begin[MOST_CPUS], end[MOST_CPUS], counted[MOST_CPUS];
static unsigned cpus, arrived, left;

__attribute__((noinline)) static uint64_t count_nothing(uint64_t n) {
    for (uint64_t left_over = n; left_over; left_over--)
        ANEW();
    return n;
}

/* The number of system calls does for it: no program runs yet. */
__attribute__((noinline)) static uint64_t count_per_cpu(uint64_t n) {
    for (uint64_t left_over = n; left_over; left_over--) {
        this_cpu->syscalls++;
        ANEW();
    }
    return n;
}

__attribute__((noinline)) static uint64_t count_atomic(uint64_t n) {
    for (uint64_t left_over = n; left_over; left_over--)
        __atomic_fetch_add(&shared.atomic, 1, __ATOMIC_RELAXED);
    return n;
}

__attribute__((noinline)) static uint64_t count_locked(uint64_t n) {
    for (uint64_t left_over = n; left_over; left_over--) {
        uint64_t flags = lock_acquire(&shared.lock);
        shared.locked++;
        lock_release(&shared.lock, flags);
    }
    return n;
}

/* An emulator with fewer threads than CPUs may let each turn wait for a thread that does not run, for milliseconds: so
 * this one gives up at the deadline. */
static uint64_t count_locked_patiently(uint64_t n) {
    uint64_t done = 0;
    while (done < n && clock_now() < deadline)
        done += count_locked(AT_ONCE);
    return done;
}

/* All begin together. Who is ready is not waited for: its CPU is free for others. */
static void take_part(void) {
    unsigned cpu = this_cpu->cpu;
    __atomic_fetch_add(&arrived, 1, __ATOMIC_ACQ_REL);
    while (__atomic_load_n(&arrived, __ATOMIC_ACQUIRE) < cpus)
        pause();
    begin[cpu] = rdtsc();
    counted[cpu] = way(times);
    end[cpu] = rdtsc();
    __atomic_fetch_add(&left, 1, __ATOMIC_ACQ_REL);
}

/* Starts the others, takes part, and waits for all. */
static void count_together(void) {
    arrived = left = 0;
    struct pcr *pcr = smp_first->next;
    for (unsigned n = 1; n < cpus; n++, pcr = pcr->next) {
        struct task *thread = thread_create(take_part);
        if (!thread)
            panic("no memory for a thread that counts");
        task_start(pcr, thread);
    }
    deadline = clock_now() + PATIENCE;
    take_part();
    while (__atomic_load_n(&left, __ATOMIC_ACQUIRE) < cpus)
        pause();
}

/* What all counters together show. */
static uint64_t sum_of_all(void) {
    uint64_t sum = shared.atomic + shared.locked;
    for (struct pcr *pcr = smp_first; pcr; pcr = pcr->next)
        sum += pcr->syscalls;
    return sum;
}

/* One round: the ticks from the first one's begin to the last one's end, for as many increments as were to be. */
static uint64_t measure_round(bool counts) {
    uint64_t before = sum_of_all(), done = 0;
    count_together();
    uint64_t first = begin[0], last = end[0];
    for (unsigned n = 0; n < cpus; n++) {
        first = begin[n] < first ? begin[n] : first;
        last = end[n] > last ? end[n] : last;
        done += counted[n];
    }
    if (counts && sum_of_all() - before != done)
        panic("%lu increments were made, and %lu counted", done, sum_of_all() - before);
    return (last - first) * (cpus * times) / (done ? done : 1); /* at the deadline: at least so long */
}

static void measure(const char *name, way_to_count *the_way, uint64_t each) {
    uint64_t ticks[ROUNDS];
    way = the_way;
    times = each;
    /* A CPU's first rounds were seen to take three times as long as all later ones. */
    for (unsigned n = 0; n < WARM_UP; n++)
        measure_round(way != count_nothing);
    for (unsigned n = 0; n < ROUNDS; n++)
        ticks[n] = measure_round(way != count_nothing);
    print_result(name, cpus, cpus * each, ticks, ROUNDS);
}

static void measure_counters(void) {
    unsigned online = 0;
    for (struct pcr *pcr = smp_first; pcr && pcr->presence == CPU_ONLINE; pcr = pcr->next)
        online++;
    for (cpus = 1; cpus <= online && cpus <= MOST_CPUS; cpus *= 2) {
        measure("loop", count_nothing, MANY);
        measure("per-cpu", count_per_cpu, MANY);
        measure("atomic", count_atomic, MANY);
        if (cpus == 1)
            measure("lock", count_locked, MANY);
        else
            measure("lock", count_locked_patiently, FEW);
    }
    for (struct pcr *pcr = smp_first; pcr; pcr = pcr->next)
        pcr->syscalls = 0;
}

PROOF(NULL, measure_counters);
