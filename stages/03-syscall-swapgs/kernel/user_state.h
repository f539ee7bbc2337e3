/* user_state.h: the registers of a program that are not in its trap frame: FPU, SSE and the bases of FS and GS.
 * SPDX-License-Identifier: MIT */
#pragma once
#include <kernel/x86.h>

/* As FXSAVE writes them. Source: SDM 1, "FXSAVE Area". */
struct fpu_state {
    uint16_t control_word; /* of the x87 */
    uint8_t x87[22];
    uint32_t mxcsr;
    uint8_t registers[484];
} __attribute__((aligned(16)));

/* What a new program finds: all exceptions masked, round to nearest. Zeros would unmask every SIMD exception. */
#define FPU_CLEAN ((struct fpu_state){.control_word = 0x37f, .mxcsr = 0x1f80})

static inline void fxrstor(const struct fpu_state *state) { __asm__ volatile("fxrstor64 %0" : : "m"(*state)); }

/* Prepares them for a new program. Some AMD CPUs keep a base when a null selector is loaded, so it is written. */
static inline void user_state_reset(void) {
    struct fpu_state clean = FPU_CLEAN;
    fxrstor(&clean);
    wrmsr(MSR_FS_BASE, 0);
    wrmsr(MSR_KERNEL_GS_BASE, 0); /* the one that waits for SWAPGS is the program's */
}
