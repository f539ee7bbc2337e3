/* The smallest ordinary program: prints a line and its arguments, and returns a status of its own. */
/* SPDX-License-Identifier: MIT */
#include <stdio.h>

int main(int argc, char **argv) {
    printf("hello, world\n");
    for (int i = 0; i < argc; i++)
        printf("argument %d: <%s>\n", i, argv[i]);
    return argc - 1;
}
