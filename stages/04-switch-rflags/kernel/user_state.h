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

struct user_state {
    struct fpu_state fpu;
    uint64_t fs_base, gs_base;
};

/* From this CPU's registers into *state, and back. With interrupts off. */
void user_state_save(struct user_state *state);
void user_state_load(const struct user_state *state);
