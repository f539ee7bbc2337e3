/* user_state.c: a program's FPU, and segment bases, saved and loaded.
 * SPDX-License-Identifier: MIT */
#include <kernel/sched.h>
#include <proof/selftest.h>
#include <kernel/user_state.h>

/* Of the area that FXSAVE writes. Source: SDM 1, "FXSAVE Area". */
#define FXSAVE_FCW   0
#define FXSAVE_MXCSR 24
#define FXSAVE_XMM   160
#define XMM_SIZE     (16 * 16)

static struct user_state given, found, clean;

static uint8_t *area(struct user_state *state, unsigned offset) { return (uint8_t *)&state->fpu + offset; }

static void fill(struct user_state *state, uint8_t seed) {
    *state = (struct user_state){.fpu = FPU_CLEAN};
    for (unsigned i = 0; i < XMM_SIZE; i++)
        *area(state, FXSAVE_XMM + i) = (uint8_t)(seed + 7 * i);
    *area(state, FXSAVE_MXCSR) |= seed;
    state->fs_base = 0x7f0000001000ul + seed;
    state->gs_base = 0x7f0000002000ul + seed;
}

static bool same_fpu(struct user_state *a, struct user_state *b) {
    return memcmp(area(a, FXSAVE_XMM), area(b, FXSAVE_XMM), XMM_SIZE) == 0 &&
           memcmp(area(a, FXSAVE_MXCSR), area(b, FXSAVE_MXCSR), 4) == 0 &&
           memcmp(area(a, FXSAVE_FCW), area(b, FXSAVE_FCW), 2) == 0;
}

TEST(user_state) {
    struct pcr *pcr = this_cpu->self;
    unsigned same = 0;
    for (uint8_t seed = 1; seed < 4; seed++) {
        fill(&given, seed);
        user_state_load(&given);
        user_state_save(&found);
        same += same_fpu(&given, &found) && found.fs_base == given.fs_base && found.gs_base == given.gs_base;
    }
    /* mutant kernel/user_state.c: fxrstor64 %0 => */
    /* mutant kernel/user_state.c: wrmsr(MSR_FS_BASE, state->fs_base); => wrmsr(MSR_FS_BASE, 0); */
    ok(same == 3, "what is loaded is what is saved: SSE registers, MXCSR, FS and GS base");
    ok(rdmsr(MSR_GS_BASE) == (uint64_t)pcr, "GS base is still the PCR");
    ok(rdmsr(MSR_KERNEL_GS_BASE) == given.gs_base, "the program's waits for SWAPGS");
    clean = (struct user_state){.fpu = FPU_CLEAN};
    user_state_load(&clean);
    user_state_save(&found);
    ok(same_fpu(&clean, &found) && !found.fs_base && !found.gs_base, "a new program finds nothing of it");
    /* mutant kernel/user_state.h: .mxcsr = 0x1f80 => .mxcsr = 0 */
    ok(memcmp(area(&found, FXSAVE_MXCSR), "\x80\x1f", 3) == 0 && memcmp(area(&found, FXSAVE_FCW), "\x7f\x03", 2) == 0,
       "and all exceptions masked");
}
