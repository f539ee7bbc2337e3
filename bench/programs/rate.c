/* freestanding: how many ticks the time-stamp counter makes in a millisecond, by the clock of the system that runs it.
 * For Linux on the host: QEMU without -icount gives its machine the host's counter. */
/* SPDX-License-Identifier: MIT */
#include <measure.h>

enum { CLOCK_MONOTONIC = 1, MILLISECONDS = 5, NANOSECONDS = 1000000 };

static uint64_t nanoseconds(void) {
    int64_t time[2];

    system_call(SYS_clock_gettime, CLOCK_MONOTONIC, (long)time, 0, 0, 0, 0);
    return (uint64_t)time[0] * 1000 * NANOSECONDS + (uint64_t)time[1];
}

static int start(int argc, char **argv) {
    uint64_t ticks[BATCHES];

    for (unsigned n = 0; n < BATCHES; n++) {
        uint64_t begin = nanoseconds(), first = now(), end;

        while ((end = nanoseconds()) < begin + MILLISECONDS * NANOSECONDS)
            ;
        ticks[n] = (now() - first) * NANOSECONDS / (end - begin);
    }
    print_result(argc > 1 ? argv[1] : "ticks-of-a-millisecond", 1, ticks);
    return 0;
}
