/* user_state.c: the registers of a program that the kernel itself does not use. Called by sched.c at a switch.
 * SPDX-License-Identifier: MIT
 *
 * Saved and loaded at each switch, whether the program has used them or not: to do it lazily once leaked one process's
 * registers to the next by speculation (CVE-2018-3665). The selectors in DS, ES, FS and GS are not kept: those that a
 * program can load all mean the same to 64-bit code, and to load GS here would overwrite the PCR's address.
 *
 * Lab 04: both functions are yours to write. */
#include <kernel/kernel.h>
#include <kernel/user_state.h>

/* What the CPU has now into *state: x87 and SSE (fxsave64; state->fpu is laid out and aligned for it), and the bases of
 * the program's FS and GS. The program's: which of the two MSRs for GS holds it while the kernel runs? */
void user_state_save(struct user_state *state) { panic("lab 04: user_state_save is yours to write"); }

/* And back (fxrstor64). WRMSR is slow: a base is written only if it is another one. */
void user_state_load(const struct user_state *state) { panic("lab 04: user_state_load is yours to write"); }
