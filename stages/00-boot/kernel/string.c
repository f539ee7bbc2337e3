/* string.c: memory and strings.
 * SPDX-License-Identifier: MIT
 *
 * The string instructions go up because RFLAGS.DF is clear, which every entry to the kernel has to see to. */
#include <kernel/kernel.h>

void *memcpy(void *to, const void *from, size_t size) {
    void *d = to;
    __asm__ volatile("rep movsb" : "+D"(d), "+S"(from), "+c"(size) : : "memory");
    return to;
}

void *memset(void *to, int byte, size_t size) {
    void *d = to;
    __asm__ volatile("rep stosb" : "+D"(d), "+c"(size) : "a"(byte) : "memory");
    return to;
}

int memcmp(const void *a, const void *b, size_t size) {
    const unsigned char *x = a, *y = b;
    for (size_t i = 0; i < size; i++)
        if (x[i] != y[i])
            return x[i] - y[i];
    return 0;
}

size_t strlen(const char *string) {
    size_t length = 0;
    while (string[length])
        length++;
    return length;
}
