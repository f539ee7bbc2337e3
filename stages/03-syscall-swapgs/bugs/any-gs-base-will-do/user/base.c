/* Asks for a GS base that no address can be. */
/* SPDX-License-Identifier: MIT */
#include <user/ulib.h>

#define ARCH_SET_GS 0x1001

int main(void) {
    long result = system_call(SYS_arch_prctl, ARCH_SET_GS, 0x800000000000, 0, 0, 0, 0);

    printf("base: arch_prctl gives %ld (-1 is EPERM)\n", result);
    return result == 0;
}
