/* Keeps a number of its own in XMM0 and in MXCSR (how to round), gives way to others, and looks whether both are still
 * there. The argument is the number, 0 to 3. */
/* SPDX-License-Identifier: MIT */
#include <user/ulib.h>

#define ROUNDS       5
#define MXCSR_MASKED 0x1f80 /* no SIMD exception */

static unsigned mxcsr(void) {
    unsigned value;

    asm volatile("stmxcsr %0" : "=m"(value));
    return value;
}

static unsigned long xmm0(void) {
    unsigned long value;

    asm volatile("movq %0, xmm0" : "=r"(value));
    return value;
}

int main(int argc, char **argv) {
    unsigned number = argc > 1 ? (unsigned)parse_number(argv[1]) : 0;
    unsigned rounding = MXCSR_MASKED | number << 13;
    int wrong = 0;

    if (xmm0() != 0 || mxcsr() != MXCSR_MASKED) {
        printf("xmm %u: I begin with xmm0 = %lu, mxcsr = 0x%x, which are not mine\n", number, xmm0(), mxcsr());
        wrong++;
    }
    asm volatile("movq xmm0, %0; ldmxcsr %1" : : "r"((unsigned long)number), "m"(rounding));
    for (int round = 0; round < ROUNDS; round++) {
        sched_yield();
        if (xmm0() == number && mxcsr() == rounding)
            continue;
        printf("xmm %u: I find xmm0 = %lu, mxcsr = 0x%x\n", number, xmm0(), mxcsr());
        wrong++;
    }
    printf("xmm %u: %d of my looks at my registers were wrong\n", number, wrong);
    return wrong != 0;
}
