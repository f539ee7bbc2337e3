/* Gives the kernel a pointer whose end wraps around to 0. */
/* SPDX-License-Identifier: MIT */
#include <user/ulib.h>

int main(void) {
    printf("wrap: getcpu gives %ld (-14 is EFAULT)\n", system_call(SYS_getcpu, -4, 0, 0, 0, 0, 0));
    return 0;
}
