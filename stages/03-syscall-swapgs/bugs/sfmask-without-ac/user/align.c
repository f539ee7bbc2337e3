/* Makes a system call with AC set. In ring 3 that asks for alignment checks; in ring 0 it means: no SMAP. */
/* SPDX-License-Identifier: MIT */
#include <user/ulib.h>

int main(void) {
    long number = SYS_getpid;

    asm volatile("pushfq; or dword ptr [rsp], 0x40000; popfq; syscall; pushfq; and dword ptr [rsp], ~0x40000; popfq"
                 : "+a"(number)
                 :
                 : "rcx", "r11", "memory", "cc");
    return 0;
}
