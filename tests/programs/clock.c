/* The clock never runs backwards, and a sleep is never shorter than asked; times themselves are not printed. */
/* SPDX-License-Identifier: MIT */
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

#define READINGS 20000

static long long now(void) {
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000ll + time.tv_nsec;
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0); /* whole lines, or the kernel's own could come between */
    static const long naps[] = {0, 1, 1000, 1000000, 15000000, 60000000};
    long long first = now(), before = first, after;
    bool backwards = false;

    for (int i = 0; i < READINGS; i++) {
        after = now();
        backwards |= after < before;
        before = after;
    }
    printf("the clock ran backwards: %s\n", backwards ? "YES" : "no");
    printf("the clock advanced: %s\n", after > first ? "yes" : "NO");
    for (size_t i = 0; i < sizeof naps / sizeof naps[0]; i++) {
        struct timespec nap = {0, naps[i]};

        before = now();
        int result = nanosleep(&nap, NULL);
        after = now();
        printf("sleep of %ld ns: result %d, long enough: %s, below a second more: %s\n", naps[i], result,
               after - before >= naps[i] ? "yes" : "NO", after - before < naps[i] + 1000000000 ? "yes" : "NO");
    }
    return 0;
}
