/* freestanding: what a system call costs, from ring 3 to ring 3. Arguments: getpid, unknown, yield, or none for all.
 * Several copies with the argument yield on one CPU measure the switch from one to the next. */
/* SPDX-License-Identifier: MIT */
#include <measure.h>

enum { SYS_unknown = 499, REPETITIONS = 1000 };

static void measure_calls(const char *name, uint32_t number) {
    uint64_t ticks[BATCHES];

    for (unsigned batch = 0; batch < BATCHES; batch++)
        ticks[batch] = TIME_LOOP("syscall", REPETITIONS, number);
    print_result(name, REPETITIONS, ticks);
}

/* The same loop with the smallest instruction in the system call's place, to be taken off. */
static void measure_loop(void) {
    uint64_t ticks[BATCHES];

    for (unsigned batch = 0; batch < BATCHES; batch++)
        ticks[batch] = TIME_LOOP("nop", REPETITIONS, 0);
    print_result("loop", REPETITIONS, ticks);
}

static bool wanted(int argc, char **argv, const char *name) {
    for (int i = 1; i < argc; i++)
        if (same_text(argv[i], name))
            return true;
    return argc < 2;
}

static int start(int argc, char **argv) {
    measure_loop();
    if (wanted(argc, argv, "getpid"))
        measure_calls("getpid", SYS_getpid);
    if (wanted(argc, argv, "unknown"))
        measure_calls("unknown", SYS_unknown);
    if (wanted(argc, argv, "yield"))
        measure_calls("yield", SYS_sched_yield);
    return 0;
}
