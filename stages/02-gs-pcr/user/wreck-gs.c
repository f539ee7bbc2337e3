/* The program that stage 02 cannot survive. Any program may load a selector into GS, and the load replaces the
 * GS base that the kernel of stage 02 needs to find its PCR. From stage 03 on the kernel swaps its own base in. */
/* SPDX-License-Identifier: MIT */
#include <user/ulib.h>

int main(void) {
    printf("wreck-gs: loading a null selector into GS clears the GS base\n");
    asm volatile("mov gs, %0" : : "r"(0));
    printf("wreck-gs: the kernel answered, so its GS base is not the one of ring 3\n");
    return 0;
}
