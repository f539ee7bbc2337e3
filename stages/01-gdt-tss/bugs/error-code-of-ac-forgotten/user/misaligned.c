/* Sets AC, with which ring 3 asks for alignment checks (CR0.AM is set from stage 03 on), and reads across one: #AC. */
/* SPDX-License-Identifier: MIT */
#include <user/ulib.h>

int main(void) {
    printf("misaligned: reads 4 bytes at an odd address, with AC set\n");
    asm volatile("pushfq\n\t"
                 "or dword ptr [rsp], 0x40000\n\t"
                 "popfq\n\t"
                 "mov eax, [rsp + 1]\n\t"
                 "pushfq\n\t"
                 "and dword ptr [rsp], ~0x40000\n\t"
                 "popfq"
                 :
                 :
                 : "rax", "memory", "cc");
    printf("misaligned: this CPU does not mind\n");
    return 0;
}
