/* Gives way to others, as long as it can. The argument is how many thousand times. */
/* SPDX-License-Identifier: MIT */
#include <user/ulib.h>

int main(int argc, char **argv) {
    long rounds = argc > 1 ? parse_number(argv[1]) * 1000 : 1000;

    while (rounds--)
        sched_yield();
    printf("give-way: done\n");
    return 0;
}
