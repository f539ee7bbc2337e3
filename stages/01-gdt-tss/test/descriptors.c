/* descriptors.c: what the CPU was told: GDTR, TR, IDTR, and the tables that they point to.
 * SPDX-License-Identifier: MIT
 *
 * The host tests read the encodings back; here it is what is loaded that counts. */
#include <kernel/gdt.h>
#include <kernel/kernel.h>
#include <kernel/memory.h>
#include <proof/selftest.h>
#include <kernel/trap.h>
#include <test/tables.h>

struct table_register {
    uint16_t limit;
    const uint64_t *base;
} __attribute__((packed));

static struct table_register gdtr(void) {
    struct table_register value;
    __asm__ volatile("sgdt %0" : "=m"(value));
    return value;
}

static struct table_register idtr(void) {
    struct table_register value;
    __asm__ volatile("sidt %0" : "=m"(value));
    return value;
}

static const struct tss *loaded_tss(void) {
    const uint64_t *d = &gdtr().base[SEL_TSS / 8];
    return (const struct tss *)((d[0] >> 16 & 0xffffff) | (d[0] >> 56) << 24 | d[1] << 32);
}

TEST(segment_registers) {
    uint16_t cs, ds, es, fs, gs, ss, tr;
    __asm__ volatile("mov %0, cs; mov %1, ss; mov %2, ds; mov %3, es" : "=r"(cs), "=r"(ss), "=r"(ds), "=r"(es));
    __asm__ volatile("mov %0, fs; mov %1, gs; str %2" : "=r"(fs), "=r"(gs), "=r"(tr));
    ok(gdtr().limit == 8 * GDT_ENTRIES - 1, "GDTR's limit is the last byte of the table");
    ok(cs == SEL_KERNEL_CODE, "CS is the kernel's");
    ok(!(ds | es | fs | gs | ss), "the data segments are null");
    ok(tr == SEL_TSS, "TR is loaded");
    ok((gdtr().base[SEL_TSS / 8] >> 40 & 15) == 11, "and its descriptor therefore busy");
}

/* What LDTR holds cannot be seen: after a reset it is null already, and usable. So a descriptor is asked for. */
TEST(no_local_descriptors) {
    uint16_t ldt;
    bool found;
    __asm__ volatile("sldt %0; lar eax, %k2" : "=&r"(ldt), "=@ccz"(found) : "r"(4) : "rax");
    ok(!ldt, "LDTR is null");
    /* mutant kernel/gdt.c: lldt ax => */
    ok(!found, "and there is no table behind it, at address 0 for one");
}

TEST(task_state_segment) {
    const struct tss *tss = loaded_tss();
    bool guarded = true, distinct = true;
    for (unsigned i = 0; i < IST_COUNT; i++) {
        uint64_t top = tss->ist[i], slot = (top - STACK_BASE) / STACK_SLOT_SIZE * STACK_SLOT_SIZE + STACK_BASE;
        if (top % STACK_SLOT_SIZE == 0)
            slot -= STACK_SLOT_SIZE;
        guarded = guarded && top % 16 == 0 && !mapping_of(slot).present && is_stack_guard(slot) &&
                  mapping_of(slot + PAGE_SIZE).write && mapping_of(top - 1).write;
        for (unsigned other = 0; other < i; other++)
            distinct = distinct && tss->ist[i] - tss->ist[other] + STACK_SLOT_SIZE > 2 * STACK_SLOT_SIZE - 1;
    }
    ok(guarded, "each interrupt stack is aligned and has a guard page");
    ok(distinct, "no two share one");
    ok(tss->iomap_base >= sizeof(*tss), "ring 3 has no port");
}

TEST(interrupt_descriptor_table) {
    const struct gate {
        uint16_t offset, selector;
        uint8_t ist, type;
        uint16_t rest[5];
    } *gates = (const void *)idtr().base;
    bool right = true, closed = true;
    for (unsigned vector = 0; vector < 256; vector++) {
        right = right && gates[vector].selector == SEL_KERNEL_CODE && (gates[vector].type & 0x9f) == 0x8e;
        if (vector != VECTOR_BP && vector != 0x80)
            closed = closed && !(gates[vector].type & 0x60);
    }
    ok(idtr().limit == 256 * sizeof(struct gate) - 1, "IDTR has room for 256 gates");
    ok(right, "all are interrupt gates to ring 0");
    /* mutant kernel/idt.c: idt_allow_user(VECTOR_BP); => idt_allow_user(VECTOR_BP), idt_allow_user(VECTOR_PF); */
    ok(closed, "ring 3 may call none but #BP's, and int 0x80 where it is the way in");
    ok(!mapping_of((uint64_t)gates).execute, "the table lies in data");
}
