/* gdt.c: segments and the task state segment. Called by cpu.c for each CPU.
 * Lab 01: yours to write.
 * SPDX-License-Identifier: MIT
 *
 * Sources: SDM 3A, "Segment Descriptors" and "Task Management in 64-bit Mode". */
#include <kernel/gdt.h>
#include <kernel/kernel.h>

/* A descriptor of the GDT. In 64-bit mode the CPU believes base and limit of the TSS alone; of a segment it looks at
 * the ring, at "code", and at the bit L for 64-bit code.
 *
 *   63        56 55  52 51     48 47   46 45  44   43    40 39         32 31            16 15             0
 *  +------------+------+---------+---+-------+---+---------+-------------+----------------+---------------+
 *  | base 31-24 | flags| lim19-16| P | ring  | S |  type   | base 23-16  |   base 15-0    |  limit 15-0   |
 *  +------------+------+---------+---+-------+---+---------+-------------+----------------+---------------+
 *
 * That of a TSS has S = 0, type 9 (64-bit, available), and another 8 bytes, with the rest of its base:
 *
 *   63                                                 32 31                                             0
 *  +-----------------------------------------------------+-----------------------------------------------+
 *  |                          0                          |                  base 63-32                   |
 *  +-----------------------------------------------------+-----------------------------------------------+
 *
 * What is there for you: SEL_... (gdt.h): selectors; the slot of one is its value / 8. GDT_CODE64 and GDT_DATA32
 * (x86.h): flat descriptors of ring 0 as the CPU wants them. kernel_stack_alloc() (memory.h): the top of a stack that
 * has a guard page below, or 0. */

/* Fills the segments' slots and the two of the TSS, makes the TSS say that ring 3 has no I/O port, and gives it
 * IST_COUNT interrupt stacks. The table is zeroed, the TSS may hold anything. */
void gdt_fill(uint64_t gdt[GDT_ENTRIES], struct tss *tss) { panic("lab 01: gdt_fill() is yours to write"); }

/* Makes this CPU use it: GDTR first, then every register that holds a selector, by inline assembly. `struct
 * table_pointer` (x86.h) is what LGDT loads. Think of each of CS, SS, DS, ES, FS, GS, LDTR and TR: what is in it now,
 * from which table, and which instruction loads it. There is no IDT yet: a fault here is a reset. */
void gdt_load(uint64_t gdt[GDT_ENTRIES]) { panic("lab 01: gdt_load() is yours to write"); }
