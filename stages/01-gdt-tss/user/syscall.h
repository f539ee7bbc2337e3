/* How ring 3 asks the kernel for something, in stages 01 and 02: by the interrupt gate 0x80.
 * The registers are already those of the `syscall` instruction (Linux's x86-64 ABI), so that stage 03
 * replaces this file alone. Used by ulib.h; the answer is a result, or a negative errno. */
/* SPDX-License-Identifier: MIT */
#pragma once

static inline long system_call(long number, long a, long b, long c, long d, long e, long f) {
    register long r10 asm("r10") = d;
    register long r8 asm("r8") = e;
    register long r9 asm("r9") = f;

    /* The gate saves and restores every register but rax, which carries the number in and the result out. */
    asm volatile("int 0x80" : "+a"(number) : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "memory");
    return number;
}
