/* cpu.h: what a CPU needs of its own before it can take an interrupt.
 * SPDX-License-Identifier: MIT */
#pragma once

/* Sets up GDT, TSS and interrupt stacks of the boot CPU. Interrupts are off. */
void cpu_init(void);
