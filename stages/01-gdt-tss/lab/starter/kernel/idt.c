/* idt.c: the interrupt descriptor table. Called by main.c.
 * Lab 01: yours to write.
 * SPDX-License-Identifier: MIT
 *
 * Source: SDM 3A, "64-Bit Mode IDT". */
#include <kernel/gdt.h>
#include <kernel/trap.h>

enum { PIC_MASTER_MASK = 0x21, PIC_SLAVE_MASK = 0xa1 };

/*   63           48 47  46 45 44 43 40 39  35 34 32 31           16 15            0
 *  +---------------+---+-----+--+-----+------+-----+---------------+---------------+
 *  | offset 31-16  | P |ring | 0|type |  0   | IST |   selector    | offset 15-0   |  word 0
 *  +---------------+---+-----+--+-----+------+-----+---------------+---------------+
 *  |                0                        |         offset 63-32                |  word 1
 *  +-----------------------------------------+-------------------------------------+
 *
 * The ring says who may call the gate by the instruction int; the CPU itself always may. IST: 0 for none. */
static uint64_t idt[256][2];

/* The stubs of trap_entry.S, one for each vector, 16 bytes apart. */
extern char interrupt_stubs[][16];

/* Fills all 256 gates, once. Which vectors need a stack of their own, and which may ring 3 call? gdt.h has the numbers
 * of the stacks, trap.h those of the vectors. */
void idt_init(void) {
    /* The BIOS leaves the timer of the first PCs on vector 8, which is #DF. Nobody wants their interrupt controllers
     * any more, so both are masked. Source: Intel 8259A data sheet. */
    outb(PIC_MASTER_MASK, 0xff);
    outb(PIC_SLAVE_MASK, 0xff);
    panic("lab 01: idt_init() is yours to write; the IDT at 0x%lx is empty, the first stub is at 0x%lx", (uint64_t)idt,
          (uint64_t)interrupt_stubs[0]);
}

/* Makes this CPU use it. */
void idt_load(void) { panic("lab 01: idt_load() is yours to write"); }

/* Lets ring 3 call the vector's gate. Others call it too: syscall_init.c, for int 0x80. */
void idt_allow_user(unsigned vector) { panic("lab 01: idt_allow_user() is yours to write"); }
