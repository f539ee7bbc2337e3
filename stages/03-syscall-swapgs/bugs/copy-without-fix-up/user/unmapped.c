/* Has the kernel print from an address where nothing is. */
/* SPDX-License-Identifier: MIT */
#include <user/ulib.h>

int main(void) {
    printf("unmapped: write gives %ld (-14 is EFAULT)\n", write(1, (const void *)0x1000, 1));
    return 0;
}
