/* Sets NT, the flag that once said that a task has been called by another, and ends by a system call. */
/* SPDX-License-Identifier: MIT */
#include <user/ulib.h>

int main(void) {
    printf("nested: ends with NT set\n");
    asm volatile("pushfq; or dword ptr [rsp], 0x4000; popfq; syscall" : : "a"(SYS_exit_group), "D"(0) : "memory", "cc");
    return 1;
}
