/* idt.c: the interrupt descriptor table. Called by main.c.
 * SPDX-License-Identifier: MIT
 *
 * Source: SDM 3A, "64-Bit Mode IDT". Every gate is an interrupt gate: it clears IF, so that nothing comes in between
 * before the entry has saved what the next interrupt would overwrite (CR2, for one). */
#include <kernel/gdt.h>
#include <kernel/trap.h>

#define PIC_MASTER_MASK 0x21
#define PIC_SLAVE_MASK  0xa1

#define GATE_INTERRUPT 0x8e /* present, ring 0, 64-bit interrupt gate */
#define GATE_RING_3    0x60

static struct gate {
    uint16_t offset_low;
    uint16_t selector;
    uint8_t ist;
    uint8_t type;
    uint16_t offset_middle;
    uint32_t offset_high;
    uint32_t reserved;
} idt[256];

extern char interrupt_stubs[][16];

void idt_init(void) {
    for (unsigned vector = 0; vector < 256; vector++) {
        uint64_t stub = (uint64_t)interrupt_stubs[vector];
        idt[vector] = (struct gate){
            .offset_low = (uint16_t)stub,
            .selector = SEL_KERNEL_CODE,
            .type = GATE_INTERRUPT,
            .offset_middle = (uint16_t)(stub >> 16),
            .offset_high = (uint32_t)(stub >> 32),
        };
    }
    /* These can strike where the current stack is not to be used; each has one of its own, since they can strike each
     * other. No other vector has one: a second fault on the same IST stack would overwrite the first one's frame. */
    idt[VECTOR_DB].ist = IST_DB;
    idt[VECTOR_NMI].ist = IST_NMI;
    idt[VECTOR_DF].ist = IST_DF;
    idt[VECTOR_MC].ist = IST_MC;
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

void idt_allow_user(unsigned vector) { idt[vector].type |= GATE_RING_3; }
