/* freestanding: what sched_yield costs among many tasks. With the word measure it tells how long batches of it take, in
 * which every other task has its turns, too; without, it only takes its turns. The first argument is how often a task
 * yields in a batch. */
/* SPDX-License-Identifier: MIT */
#include <measure.h>

/* Batches of those that only take their turns: so many more that they do not end before the one that measures. */
enum { SPARE = 3 };

static void measure(uint64_t repetitions) {
    uint64_t ticks[BATCHES];

    for (unsigned batch = 0; batch < BATCHES; batch++)
        ticks[batch] = TIME_LOOP("syscall", repetitions, SYS_sched_yield);
    print_result("turns", repetitions, ticks);
}

static int start(int argc, char **argv) {
    uint64_t repetitions = argc > 1 ? parse(argv[1], 10) : 1;

    if (argc > 2 && same_text(argv[2], "measure"))
        measure(repetitions);
    else
        TIME_LOOP("syscall", repetitions * (BATCHES + SPARE), SYS_sched_yield);
    return 0;
}
