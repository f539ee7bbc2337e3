/* user_state.c: the registers of a program that the kernel itself does not use. Called by sched.c at a switch.
 * SPDX-License-Identifier: MIT
 *
 * Saved and loaded at each switch, whether the program has used them or not: to do it lazily once leaked one process's
 * registers to the next by speculation (CVE-2018-3665). */
#include <kernel/kernel.h>
#include <kernel/user_state.h>

void user_state_init(struct user_state *state) { *state = (struct user_state){.fpu = FPU_CLEAN}; }

static void read_selectors(struct selectors *s) {
    __asm__ volatile("mov %0, ds; mov %1, es; mov %2, fs; mov %3, gs"
                     : "=m"(s->ds), "=m"(s->es), "=m"(s->fs), "=m"(s->gs));
}

static bool any_loaded(const struct selectors *s) { return s->ds | s->es | s->fs | s->gs; }

void user_state_save(struct user_state *state) {
    __asm__ volatile("fxsave64 %0" : "=m"(state->fpu));
    /* Not what arch_prctl() has set: a program changes the base without it when it loads the selector. */
    state->fs_base = rdmsr(MSR_FS_BASE);
    state->gs_base = rdmsr(MSR_KERNEL_GS_BASE);
    read_selectors(&state->selectors);
}

/* Each is null or a segment of ring 3's, which loads in ring 0 as well. Loading GS overwrites the kernel's base:
 * that is put back at once, and an NMI in between does not rely on it. */
static void load_selectors(const struct selectors *s) {
    uint64_t pcr = rdmsr(MSR_GS_BASE);
    __asm__ volatile("mov ds, %0; mov es, %1; mov fs, %2; mov gs, %3"
                     :
                     : "m"(s->ds), "m"(s->es), "m"(s->fs), "m"(s->gs));
    wrmsr(MSR_GS_BASE, pcr);
}

void user_state_load(const struct user_state *state) {
    __asm__ volatile("fxrstor64 %0" : : "m"(state->fpu));
    struct selectors loaded;
    read_selectors(&loaded);
    if (any_loaded(&loaded) || any_loaded(&state->selectors))
        load_selectors(&state->selectors);
    if (state->fs_base != rdmsr(MSR_FS_BASE))
        user_set_fs_base(state->fs_base);
    if (state->gs_base != rdmsr(MSR_KERNEL_GS_BASE))
        user_set_gs_base(state->gs_base);
}
