/* Sleeps a thousand times for a moment, each time for another one: a tick comes at each place on the way to the switch. */
/* SPDX-License-Identifier: MIT */
#include <user/ulib.h>

#define NAPS 1000

int main(void) {
    for (long i = 0; i < NAPS; i++) {
        struct timespec length = {0, i * 37 % 30000};

        if (system_call(SYS_nanosleep, (long)&length, 0, 0, 0, 0, 0))
            return 1;
    }
    printf("naps: done\n");
    return 0;
}
