/* Sleeps again and again for less time than the way to the switch takes: a tick comes at each place of it, and finds
 * the sleep over. */
/* SPDX-License-Identifier: MIT */
#include <user/ulib.h>

#define NAPS 4000

int main(void) {
    for (long i = 0; i < NAPS; i++) {
        struct timespec length = {0, i * 37 % 2000};

        burn((unsigned long)i % 900); /* each sleep ends at a tick: else all begin as long behind one */
        if (system_call(SYS_nanosleep, (long)&length, 0, 0, 0, 0, 0))
            return 1;
    }
    printf("naps: done\n");
    return 0;
}
