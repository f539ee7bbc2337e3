/* idt.h: the interrupt descriptor table, one for all CPUs.
 * SPDX-License-Identifier: MIT */
#pragma once

/* Fills the table with 256 gates to the stubs of trap_entry.S. Once. */
void idt_init(void);

/* Loads IDTR. On every CPU. */
void idt_load(void);

/* Lets ring 3 use the gate with the instruction int. Else int gives #GP there. */
void idt_allow_user(unsigned vector);
