/* idt.c: the interrupt descriptor table. Called by main.c.
 * SPDX-License-Identifier: MIT
 *
 * Source: SDM 3A, "64-Bit Mode IDT". Every gate is an interrupt gate: it clears IF, so that nothing comes in between
 * before the entry has saved what the next interrupt would overwrite (CR2, for one). */
#include <kernel/gdt.h>
#include <kernel/trap.h>

enum { PIC_MASTER_MASK = 0x21, PIC_SLAVE_MASK = 0xa1 };

#define GATE_INTERRUPT (0x8eul << 40) /* present, ring 0, 64-bit interrupt gate */
#define GATE_RING_3    (3ul << 45)
#define GATE_IST(n)    ((uint64_t)(n) << 32)

/*   63           48 47   40 39  35 34 32 31           16 15            0
 *  +---------------+-------+------+-----+---------------+---------------+
 *  | offset 31-16  | type  |  0   | IST |   selector    | offset 15-0   |  word 0
 *  +---------------+-------+------+-----+---------------+---------------+
 *  |               0                    |         offset 63-32          |  word 1
 *  +------------------------------------+-------------------------------+ */
static uint64_t idt[256][2];

extern char interrupt_stubs[][16];

void idt_init(void) {
    for (unsigned vector = 0; vector < 256; vector++) {
        uint64_t stub = (uint64_t)interrupt_stubs[vector];
        idt[vector][0] = (stub & 0xffff) | SEL_KERNEL_CODE << 16 | GATE_INTERRUPT | (stub >> 16 & 0xffff) << 48;
        idt[vector][1] = stub >> 32;
    }
    /* These can strike where the current stack is not to be used; each has one of its own, since they can strike each
     * other. No other vector has one: a second fault on the same IST stack would overwrite the first one's frame. */
    idt[VECTOR_DB][0] |= GATE_IST(IST_DB);
    idt[VECTOR_NMI][0] |= GATE_IST(IST_NMI);
    idt[VECTOR_DF][0] |= GATE_IST(IST_DF);
    idt[VECTOR_MC][0] |= GATE_IST(IST_MC);
    idt_allow_user(VECTOR_BP); /* int3 is for programs and their debuggers */

    /* The BIOS leaves the timer of the first PCs on vector 8, which is #DF. Nobody wants their interrupt controllers
     * any more, so both are masked. Source: Intel 8259A data sheet. */
    outb(PIC_MASTER_MASK, 0xff);
    outb(PIC_SLAVE_MASK, 0xff);
}

void idt_load(void) {
    struct table_pointer idtr = {sizeof(idt) - 1, (uint64_t)idt};
    __asm__ volatile("lidt %0" : : "m"(idtr));
}

void idt_allow_user(unsigned vector) { idt[vector][0] |= GATE_RING_3; }
