/* Thread-local variables and errno, which lie where the FS base points; they must hold over system calls and
 * while other programs run. */
/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

static __thread int counter = 41;
static __thread char zeroed[200];
static __thread long aligned_word __attribute__((aligned(64))) = 0x0123456789abcdef;

int main(void) {
    int sum = 0;

    for (size_t i = 0; i < sizeof zeroed; i++)
        sum += zeroed[i];
    printf("initialised %d, zeroed %d, word %lx, its address modulo 64 is %lu\n", counter, sum, aligned_word,
           (unsigned long)(uintptr_t)&aligned_word % 64);
    for (int i = 0; i < 1000; i++) {
        counter++;
        getpid();
    }
    printf("counted to %d\n", counter);
    errno = 0;
    printf("write to a closed descriptor: %zd\n", write(99, "x", 1));
    printf("errno is EBADF: %s\n", errno == EBADF ? "yes" : "no");
    return 0;
}
