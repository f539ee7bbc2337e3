/* Makes many system calls, so that a tick may come at any of the kernel's instructions. */
/* SPDX-License-Identifier: MIT */
#include <user/ulib.h>

int main(void) {
    for (int i = 0; i < 300000; i++)
        getpid();
    printf("calls: the kernel has answered all of them\n");
    return 0;
}
