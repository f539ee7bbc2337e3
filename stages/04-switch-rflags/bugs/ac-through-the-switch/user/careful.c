/* Sets AC, with which a careful program finds its misaligned accesses, and works for a while without a system call:
 * only the timer can take the CPU from it. */
/* SPDX-License-Identifier: MIT */
#include <user/ulib.h>

#define ROUNDS 30000000

int main(void) {
    asm volatile("pushfq; or dword ptr [rsp], 0x40000; popfq" : : : "memory", "cc");
    burn(ROUNDS);
    asm volatile("pushfq; and dword ptr [rsp], ~0x40000; popfq" : : : "memory", "cc");
    printf("careful: done\n");
    return 0;
}
