/* Takes memory until the kernel has no more: hog MEGABYTES takes at most that much, by mmap and then by brk.
 * Running out must be an error that the program sees, for it and for nobody else. */
/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CHUNK (1ul << 20)

int main(int argc, char **argv) {
    long limit = argc > 1 ? atol(argv[1]) : 1;
    long taken = 0;

    for (; taken < limit; taken++) {
        char *chunk = mmap(NULL, CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (chunk == MAP_FAILED)
            break;
        memset(chunk, 1, CHUNK);
    }
    printf("hog: mmap %s\n", taken == limit ? "gave all" : errno == ENOMEM ? "answers ENOMEM" : "fails oddly");
    if (taken < limit)
        printf("hog: brk %s\n", sbrk(CHUNK) == (void *)-1 && errno == ENOMEM ? "answers ENOMEM" : "goes on");
    return 0;
}
