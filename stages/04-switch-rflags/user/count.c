/* Counts without ever giving the CPU away. When several copies run, their lines interleave all the same:
 * the timer takes the CPU from each in turn. The argument says how far to count. */
/* SPDX-License-Identifier: MIT */
#include <user/ulib.h>

#define ROUNDS_BETWEEN_LINES 10000000 /* long enough for several ticks of the timer */

int main(int argc, char **argv) {
    long last = argc > 1 ? parse_number(argv[1]) : 3;

    for (long number = 1; number <= last; number++) {
        burn(ROUNDS_BETWEEN_LINES);
        printf("count: task %d counts %ld\n", getpid(), number);
    }
    return 0;
}
