/* Faults with DF set: string instructions would run backwards in a kernel that does not clear it. */
/* SPDX-License-Identifier: MIT */
#include <user/ulib.h>

int main(void) {
    asm volatile("std; ud2");
    return 1;
}
