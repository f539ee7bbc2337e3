/* idt.c: gates to the stubs of a table.
 * SPDX-License-Identifier: MIT */
#include <kernel/gdt.h>
#include <kernel/trap.h>

static uint64_t gates[512];
extern const uint64_t stub_table[256];

static void set_gate(unsigned vector, uint64_t ist) {
    uint64_t to = stub_table[vector];
    gates[2 * vector + 1] = to >> 32;
    gates[2 * vector] = (to & 0xffff) | 8 << 16 | ist << 32 | 0x8e00ul << 32 | to >> 16 << 48;
}

void idt_init(void) {
    for (unsigned vector = 0; vector < 256; vector++)
        set_gate(vector, 0);
    set_gate(1, IST_DB);
    set_gate(2, IST_NMI);
    set_gate(8, IST_DF);
    set_gate(18, IST_MC);
    idt_allow_user(3);
    outb(0x21, 0xff);
    outb(0xa1, 0xff);
}

void idt_load(void) {
    struct table_pointer idtr = {4095, (uint64_t)gates};
    __asm__ volatile("lidt %0" : : "m"(idtr));
}

void idt_allow_user(unsigned vector) { gates[2 * vector] |= 0x6000ul << 32; }
