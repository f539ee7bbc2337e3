/* Touches a page, unmaps it, and touches it again, which must fault: nothing remembers where it was. */
/* SPDX-License-Identifier: MIT */
#include <user/ulib.h>

#define PAGE_SIZE             4096
#define PROT_READ_WRITE       3
#define MAP_PRIVATE_ANONYMOUS (0x02 | 0x20)
#define SYS_munmap            11

int main(void) {
    volatile char *page = (char *)system_call(SYS_mmap, 0, PAGE_SIZE, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0);

    page[0] = 1;
    if (system_call(SYS_munmap, (long)page, PAGE_SIZE, 0, 0, 0, 0) != 0)
        return 2;
    page[0]++;
    printf("unmapped: the page is still there\n");
    return 1;
}
