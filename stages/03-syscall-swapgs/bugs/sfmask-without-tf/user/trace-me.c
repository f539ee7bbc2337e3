/* Sets TF, by which a CPU stops behind each instruction, and makes a system call as the next one. */
/* SPDX-License-Identifier: MIT */
#include <user/ulib.h>

int main(void) {
    long number = SYS_getpid;

    asm volatile("pushfq; or dword ptr [rsp], 0x100; popfq; syscall" : "+a"(number) : : "rcx", "r11", "memory", "cc");
    return 0;
}
