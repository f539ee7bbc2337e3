/* gdt.c: segments and the task state segment. Called by cpu.c for each CPU.
 * SPDX-License-Identifier: MIT
 *
 * Sources: SDM 3A, "Segment Descriptors" and "Task Management in 64-bit Mode". */
#include <kernel/gdt.h>
#include <kernel/kernel.h>

#define GDT_RING_3    (3ul << 45)
#define TSS_AVAILABLE 0x89ul /* present, ring 0, 64-bit TSS; LTR turns it into 0x8b, busy */

void gdt_fill(uint64_t gdt[GDT_ENTRIES], struct tss *tss) {
    uint64_t base = (uint64_t)tss, limit = sizeof(*tss) - 1;
    *tss = (struct tss){.iomap_base = sizeof(*tss)};
    gdt[SEL_KERNEL_CODE / 8] = GDT_CODE64;
    gdt[SEL_KERNEL_DATA / 8] = GDT_DATA32;
    gdt[SEL_USER_DATA / 8] = GDT_DATA32 | GDT_RING_3;
    gdt[SEL_USER_CODE / 8] = GDT_CODE64 | GDT_RING_3;
    /* 16 bytes, or the TSS could only lie below 4 GiB. */
    gdt[SEL_TSS / 8] = limit | (base & 0xffffff) << 16 | TSS_AVAILABLE << 40 | (base >> 24 & 0xff) << 56;
    gdt[SEL_TSS / 8 + 1] = base >> 32;
    for (unsigned i = 0; i < IST_COUNT; i++) {
        tss->ist[i] = kernel_stack_alloc();
        if (!tss->ist[i])
            panic("no memory for the interrupt stacks");
    }
}

/* Until its caller sets the base of GS anew there is no canary to be found. */
__attribute__((no_stack_protector)) void gdt_load(uint64_t gdt[GDT_ENTRIES]) {
    struct table_pointer gdtr = {GDT_ENTRIES * sizeof(uint64_t) - 1, (uint64_t)gdt};
    /* LGDT changes no segment register: each goes on with the old table's descriptor until it is loaded anew. CS can be
     * loaded by a far return only. Null data segments do in 64-bit mode, in SS too as long as it is ring 0. And a null
     * LDT must be loaded: after a reset LDTR is usable, with base 0, where a program can map its own call gates. */
    __asm__ volatile("lgdt %0\n\t"
                     "push %1; lea rax, [rip + 1f]; push rax; retfq\n"
                     "1: xor eax, eax; mov ss, eax; mov ds, eax; mov es, eax; mov fs, eax; mov gs, eax; lldt ax\n\t"
                     "ltr %w2"
                     :
                     : "m"(gdtr), "i"(SEL_KERNEL_CODE), "r"(SEL_TSS)
                     : "rax", "memory");
}
