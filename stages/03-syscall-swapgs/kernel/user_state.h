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

/* In the kernel the program's GS base is the one that waits in IA32_KERNEL_GS_BASE. */
static inline void user_set_gs_base(uint64_t base) { wrmsr(MSR_KERNEL_GS_BASE, base); }

static inline void user_set_fs_base(uint64_t base) { wrmsr(MSR_FS_BASE, base); }

/* Prepares them for a new program. Some AMD CPUs keep a base when a null selector is loaded, so it is written. */
static inline void user_state_reset(void) {
    struct fpu_state clean = FPU_CLEAN;
    fxrstor(&clean);
    user_set_fs_base(0);
    user_set_gs_base(0);
}
