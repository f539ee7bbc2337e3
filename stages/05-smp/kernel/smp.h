/* smp.h: the other CPUs: which there are, their start, and interrupts to them.
 * SPDX-License-Identifier: MIT */
#pragma once

/* For ap_entry.S; asserted in smp.c. */
#define PCR_NEXT 200

/* Where a starting CPU begins: a page below 1 MiB, whose number is the vector of the start-up IPI. */
#define AP_PAGE 0x8000

#ifndef __ASSEMBLER__
#include <kernel/balance.h>
#include <kernel/lapic.h>

#define VECTOR_RESCHEDULE 0x41

/* Delivery modes of the interrupt command register. Source: SDM 3A, "Interrupt Command Register (ICR)". */
enum { ICR_FIXED = 0x4000, ICR_NMI = 0x4400, ICR_INIT = 0x4500, ICR_STARTUP = 0x4600 }; /* each with "assert" */

/* Sends one. It is on its way when this returns, not yet there. With interrupts off: one that came between the two
 * halves could send one of its own. */
void ipi_send(uint32_t apic_id, uint32_t command);

/* Sets the handlers of those that the kernel sends. Once. */
void ipi_init(void);

/* The boot CPU's PCR, first of the list of all; NULL before smp_start(). A CPU of the list counts once it is online. */
extern struct pcr *smp_first;

/* Sets up this CPU, on which pcr_init() has run (main.c). */
void cpu_setup(void);

/* A table of the firmware's, at any address; its length and checksum are right. Sources: ACPI Specification, "System
 * Description Table Header" and "Multiple APIC Description Table (MADT)". */
struct acpi_table {
    char signature[4];
    uint32_t length;
    uint8_t revision, checksum, oem[26];
} __attribute__((packed));

/* acpi.c: the MADT, or NULL with a line that says what is wrong. */
const struct acpi_table *acpi_find_madt(const struct multiboot2_info *info);

/* The APIC id of the next CPU that may be started. *offset is 0 at first. False at the end of the table. */
bool madt_next_cpu(const struct acpi_table *madt, uint32_t *offset, uint32_t *apic_id);

/* smp.c: starts all other CPUs that the firmware names, side by side, and waits for them. */
void smp_start(const struct multiboot2_info *info);
#endif
