/* gdt.c: descriptors as structures; the segments are loaded with the kernel's data, and not with null.
 * SPDX-License-Identifier: MIT */
#include <kernel/gdt.h>
#include <kernel/kernel.h>

struct segment {
    uint16_t limit_low, base_low;
    uint8_t base_middle, type, flags, base_high;
} __attribute__((packed));

struct tss_descriptor {
    struct segment low;
    uint32_t base_upper, zero;
} __attribute__((packed));

void gdt_fill(uint64_t gdt[GDT_ENTRIES], struct tss *tss) {
    struct segment *table = (struct segment *)gdt;
    const struct segment code = {.type = 0x9b, .flags = 0x20}, data = {.type = 0x93};
    table[SEL_KERNEL_CODE >> 3] = table[SEL_USER_CODE >> 3] = code;
    table[SEL_KERNEL_DATA >> 3] = table[SEL_USER_DATA >> 3] = data;
    table[SEL_USER_CODE >> 3].type |= 0x60;
    table[SEL_USER_DATA >> 3].type |= 0x60;
    memset(tss, 0, sizeof(*tss));
    tss->iomap_base = 0xffff;
    for (unsigned i = 3; i < 7; i++)
        if (!(tss->ist[i] = kernel_stack_alloc()))
            panic("no stack");
}

void gdt_load(uint64_t gdt[GDT_ENTRIES]) {
    extern struct tss cpu_tss;
    uint64_t base = (uint64_t)&cpu_tss;
    *(struct tss_descriptor *)&gdt[SEL_TSS >> 3] =
        (struct tss_descriptor){{sizeof(struct tss) - 1, base, base >> 16, 0x89, 0, base >> 24}, base >> 32, 0};
    struct table_pointer gdtr = {GDT_ENTRIES * 8 - 1, (uint64_t)gdt};
    __asm__ volatile("lgdt %0\n\t"
                     "mov ecx, %1; mov ds, ecx; mov es, ecx; mov ss, ecx\n\t"
                     "xor eax, eax; lldt ax; mov fs, eax; mov gs, eax\n\t"
                     "mov rdx, rsp; push rcx; push rdx; pushfq; push %2; lea rax, [rip + 1f]; push rax; iretq\n"
                     "1: mov eax, %3; ltr ax"
                     :
                     : "m"(gdtr), "i"(SEL_KERNEL_DATA), "i"(SEL_KERNEL_CODE), "i"(SEL_TSS)
                     : "rax", "rcx", "rdx", "memory");
}
