/* ipi.h: interrupts from one CPU to another.
 * SPDX-License-Identifier: MIT */
#pragma once
#include <kernel/pcr.h>
#include <stdint.h>

#define VECTOR_RESCHEDULE 0x41

/* Delivery modes of the interrupt command register. Source: SDM 3A, "Interrupt Command Register (ICR)". */
#define ICR_FIXED   0x04000 /* with the level bit: assert */
#define ICR_NMI     0x04400
#define ICR_INIT    0x04500
#define ICR_STARTUP 0x04600

/* Sends one. It is on its way when this returns, not yet there. */
void ipi_send(uint32_t apic_id, uint32_t command);

/* Sets the handlers. Once. */
void ipi_init(void);
