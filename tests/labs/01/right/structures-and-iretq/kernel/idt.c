/* idt.c: gates as structures.
 * SPDX-License-Identifier: MIT */
#include <kernel/gdt.h>
#include <kernel/trap.h>

static struct gate {
    uint16_t low, selector;
    uint8_t ist, type;
    uint16_t middle;
    uint32_t high, zero;
} idt[256] __attribute__((aligned(4096)));

extern char interrupt_stubs[][16];

void idt_init(void) {
    static const struct {
        uint8_t vector, ist;
    } own[] = {{VECTOR_DF, 7}, {VECTOR_NMI, 6}, {VECTOR_DB, 5}, {VECTOR_MC, 4}};
    for (int vector = 255; vector >= 0; vector--) {
        uint64_t address = (uint64_t)interrupt_stubs[vector];
        idt[vector] = (struct gate){address, SEL_KERNEL_CODE, 0, 0x8e, address >> 16, address >> 32, 0};
    }
    for (unsigned i = 0; i < ARRAY_LENGTH(own); i++)
        idt[own[i].vector].ist = own[i].ist;
    idt[VECTOR_BP].type = 0xee;
    outb(0x21, 0xff);
    outb(0xa1, 0xff);
}

void idt_load(void) {
    struct table_pointer idtr = {sizeof(idt) - 1, (uint64_t)idt};
    __asm__ volatile("lidt %0" : : "m"(idtr));
}

void idt_allow_user(unsigned vector) { idt[vector].type = 0xee; }
