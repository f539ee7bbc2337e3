/* Prints the first of the 16 bytes of AT_RANDOM, which no two programs share. */
/* SPDX-License-Identifier: MIT */
#include <user/ulib.h>

#define AT_RANDOM 25

int main(int argc, char **argv) {
    unsigned long *word = (unsigned long *)argv + argc + 1;

    while (*word) /* the environment */
        word++;
    for (word++; word[0] != AT_RANDOM; word += 2)
        if (!word[0])
            return 2;
    printf("random: %lx\n", *(unsigned long *)word[1]);
    return 0;
}
