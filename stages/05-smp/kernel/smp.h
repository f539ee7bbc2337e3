/* smp.h: the other CPUs, and interrupts to them.
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
#include <kernel/balance.h>
#include <kernel/lapic.h>

#define VECTOR_RESCHEDULE 0x41

/* Delivery modes of the interrupt command register. Source: SDM 3A, "Interrupt Command Register (ICR)". */
#define ICR_FIXED   0x04000 /* with the level bit: assert */
#define ICR_NMI     0x04400
#define ICR_INIT    0x04500
#define ICR_STARTUP 0x04600

/* Sends one. It is on its way when this returns, not yet there. */
void ipi_send(uint32_t apic_id, uint32_t command);

/* Sets the handlers of those that the kernel sends. Once. */
void ipi_init(void);

/* The boot CPU's PCR, first of the list of all; NULL before smp_start(). A CPU of the list counts once it is online. */
extern struct pcr *smp_first;

/* Sets up this CPU, on which pcr_init() has run (main.c). */
void cpu_setup(void);

/* Starts all other CPUs that the firmware names, side by side, and waits for them. */
void smp_start(const struct multiboot2_info *info);
#endif
