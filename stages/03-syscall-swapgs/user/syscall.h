/* How ring 3 asks the kernel for something, from stage 03 on: by the `syscall` instruction.
 * Number and arguments are in the registers that Linux uses on x86-64, so these programs run there as well.
 * Used by ulib.h; the answer is a result, or a negative errno. */
/* SPDX-License-Identifier: MIT */
#pragma once

static inline long system_call(long number, long a, long b, long c, long d, long e, long f) {
    /* The fourth argument travels in r10, not in rcx as for a function: `syscall` needs rcx. */
    register long r10 asm("r10") = d;
    register long r8 asm("r8") = e;
    register long r9 asm("r9") = f;

    /* The CPU itself overwrites two registers: rcx with the return address, r11 with rflags. */
    asm volatile("syscall"
                 : "+a"(number)
                 : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                 : "rcx", "r11", "memory");
    return number;
}
