/* Sleeps, and checks with the clock that it slept at least as long as it asked. While it sleeps others run;
 * with no others the CPU idles. The argument is the length of a nap in milliseconds. */
/* SPDX-License-Identifier: MIT */
#include <user/ulib.h>

#define CLOCK_MONOTONIC 1
#define NAPS            3

static long now_in_microseconds(void) {
    struct timespec now = {0, 0};

    system_call(SYS_clock_gettime, CLOCK_MONOTONIC, (long)&now, 0, 0, 0, 0);
    return now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int main(int argc, char **argv) {
    long milliseconds = argc > 1 ? parse_number(argv[1]) : 50;
    struct timespec length = {milliseconds / 1000, milliseconds % 1000 * 1000000};

    for (int i = 0; i < NAPS; i++) {
        long start = now_in_microseconds();
        system_call(SYS_nanosleep, (long)&length, 0, 0, 0, 0, 0);
        long slept = now_in_microseconds() - start;

        printf("nap: asked for %ld ms, slept %ld ms\n", milliseconds, slept / 1000);
        if (slept < milliseconds * 1000) {
            printf("nap: that was too short\n");
            return 1;
        }
    }
    return 0;
}
