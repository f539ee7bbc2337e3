/* user_state.c: the registers of a program that the kernel itself does not use. Called by sched.c at a switch.
 * SPDX-License-Identifier: MIT
 *
 * Saved and loaded at each switch, whether the program has used them or not: to do it lazily once leaked one process's
 * registers to the next by speculation (CVE-2018-3665). The selectors in DS, ES, FS and GS are not kept: those that a
 * program can load all mean the same to 64-bit code, and to load GS here would overwrite the PCR's address. */
#include <kernel/kernel.h>
#include <kernel/user_state.h>

void user_state_save(struct user_state *state) {
    __asm__ volatile("fxsave64 %0" : "=m"(state->fpu));
    /* Not what arch_prctl() has set: a program changes a base without it when it loads the selector. The program's GS
     * base is the one that waits in IA32_KERNEL_GS_BASE. */
    state->fs_base = rdmsr(MSR_FS_BASE);
    state->gs_base = rdmsr(MSR_KERNEL_GS_BASE);
}

void user_state_load(const struct user_state *state) {
    __asm__ volatile("fxrstor64 %0" : : "m"(state->fpu));
    if (state->fs_base != rdmsr(MSR_FS_BASE))
        wrmsr(MSR_FS_BASE, state->fs_base);
    if (state->gs_base != rdmsr(MSR_KERNEL_GS_BASE))
        wrmsr(MSR_KERNEL_GS_BASE, state->gs_base);
}
