/* Writes two parts by one writev(), of which the first runs into memory that is not there, and says what it returns. */
/* SPDX-License-Identifier: MIT */
#include <user/ulib.h>

#define PAGE_SIZE             4096
#define PROT_READ_WRITE       3
#define MAP_PRIVATE_ANONYMOUS (0x02 | 0x20)
#define SYS_writev            20

int main(void) {
    char *page = (char *)system_call(SYS_mmap, 0, PAGE_SIZE, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0);
    char *last = page + PAGE_SIZE - 4; /* above the first page that mmap gives out there is none */
    struct {
        const char *base;
        unsigned long size;
    } parts[] = {{last, 8}, {"second\n", 7}};

    for (int i = 0; i < 4; i++)
        last[i] = "abc\n"[i];
    printf("cut: writev gives %ld\n", system_call(SYS_writev, 1, (long)parts, 2, 0, 0, 0));
    return 0;
}
