/* smp.h: the other CPUs.
 * SPDX-License-Identifier: MIT */
#pragma once

/* For ap_entry.S; asserted in smp.c. */
#define PCR_NEXT 200

/* Where a starting CPU begins: a page below 1 MiB, whose number is the vector of the start-up IPI. */
#define AP_PAGE 0x8000

/* Offsets in that page, of what ap_entry.S and smp.c share. */
#define AP_CLAIMS      4 /* how many CPUs have come so far */
#define AP_LIMIT       8 /* how many there is something for */
#define AP_GDT         16
#define AP_GDT_POINTER 40

#ifndef __ASSEMBLER__
#include <kernel/multiboot2.h>
#include <kernel/pcr.h>

/* The boot CPU's PCR, first of the list of all; NULL before smp_init(). A CPU of the list counts once it is online. */
extern struct pcr *smp_first;

/* Makes the boot CPU the first of the list. */
void smp_init(void);

/* Starts all other CPUs that the firmware names, side by side, and waits for them. */
void smp_start(const struct multiboot2_info *info);
#endif
