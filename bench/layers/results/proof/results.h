/* results.h: how the layers that measure tell what they have found; the same line as in bench/programs/measure.h. It is
 * laid below each of them.
 * SPDX-License-Identifier: MIT */
#pragma once
#include <kernel/sched.h>

static inline void sort(uint64_t *values, unsigned count) {
    for (unsigned n = 1; n < count; n++)
        for (unsigned at = n; at && values[at] < values[at - 1]; at--) {
            uint64_t value = values[at];
            values[at] = values[at - 1];
            values[at - 1] = value;
        }
}

/* "measure NAME-NUMBER OPERATIONS MINIMUM MEDIAN MAXIMUM": ticks of the time-stamp counter. Sorts them. */
static inline void print_result(const char *name, unsigned number, uint64_t operations, uint64_t *ticks,
                                unsigned count) {
    sort(ticks, count);
    printk("measure %s-%u %lu %lu %lu %lu\n", name, number, operations, ticks[0], ticks[count / 2], ticks[count - 1]);
}
