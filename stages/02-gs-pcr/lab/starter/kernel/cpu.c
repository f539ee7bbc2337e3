/* cpu.c: sets up a processor control region. Called by main.c for the boot CPU, by stage 05 for every other one.
 * Lab 02: yours to write.
 * SPDX-License-Identifier: MIT */
#include <kernel/pcr.h>

/* pcr.h says what it does. What is there for you: gdt_load() (gdt.h), which loads GDTR and every register that holds a
 * selector; wrmsr() (x86.h), MSR_GS_BASE and MSR_KERNEL_GS_BASE. Their order is the point: what does the load of a
 * selector into GS do to its base? And what should SWAPGS, which nobody executes yet, exchange it for? */
void pcr_init(struct pcr *pcr, unsigned cpu) { panic("lab 02: pcr_init() is yours to write"); }

/* The boot CPU's PCR: it is needed before memory can be had. Its GDT and TSS are filled by gdt_fill() (gdt.h). */
void cpu_init(void) { panic("lab 02: cpu_init() is yours to write"); }
