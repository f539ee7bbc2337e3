/* fpu.h: SSE and x87 registers, for programs; the kernel itself uses none.
 * SPDX-License-Identifier: MIT */
#pragma once
#include <stdint.h>

/* As FXSAVE writes them. Source: SDM 1, "FXSAVE Area". */
struct fpu_state {
    uint16_t fcw, fsw;
    uint8_t ftw, reserved;
    uint16_t fop;
    uint64_t fip, fdp;
    uint32_t mxcsr, mxcsr_mask;
    uint8_t registers[480];
} __attribute__((aligned(16)));

_Static_assert(sizeof(struct fpu_state) == 512, "SDM 1, \"FXSAVE Area\"");

/* What a new program finds: all exceptions masked, round to nearest. Zeros would unmask every SIMD exception. */
#define FPU_CLEAN ((struct fpu_state){.fcw = 0x37f, .mxcsr = 0x1f80})

static inline void fxsave(struct fpu_state *state)
{
    __asm__ volatile("fxsave64 %0" : "=m"(*state));
}

static inline void fxrstor(const struct fpu_state *state)
{
    __asm__ volatile("fxrstor64 %0" : : "m"(*state));
}

/* Lets ring 3 use SSE. On every CPU. */
void fpu_init(void);
