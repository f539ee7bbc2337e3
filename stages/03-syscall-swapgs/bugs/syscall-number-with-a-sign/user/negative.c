/* Makes a system call with a negative number. There is none. */
/* SPDX-License-Identifier: MIT */
#include <user/ulib.h>

int main(void) {
    long lowest = -2147483648;

    printf("negative: system call %ld gives %ld (-38 is ENOSYS)\n", lowest, system_call(lowest, 0, 0, 0, 0, 0, 0));
    return 0;
}
