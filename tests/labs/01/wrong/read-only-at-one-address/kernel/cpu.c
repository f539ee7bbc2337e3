/* cpu.c: the GDT in a page that is read-only at both of its addresses.
 * SPDX-License-Identifier: MIT */
#include <kernel/current.h>

static uint64_t gdt_page[PAGE_SIZE / 8] __attribute__((aligned(PAGE_SIZE)));
struct tss cpu_tss;
struct task *current_task;
uint64_t syscall_count;

/* A large page is split first: its neighbours stay as they are. */
static void make_read_only(uint64_t address) {
    uint64_t *entry = page_entry(kernel_pml4, address, 2, false);
    if (entry && *entry & PTE_LARGE) {
        uint64_t frame = frame_alloc(), *table = phys_to_virt(frame);
        if (!frame)
            panic("no memory for a page table");
        for (unsigned i = 0; i < 512; i++)
            table[i] = (*entry & ~(uint64_t)PTE_LARGE) + i * PAGE_SIZE;
        *entry = frame | PTE_PRESENT | PTE_WRITE;
    }
    entry = page_entry(kernel_pml4, address, 1, false);
    if (!entry)
        panic("no page at 0x%lx", address);
    *entry &= ~(uint64_t)PTE_WRITE;
    write_cr3(read_cr3());
}

void cpu_init(void) {
    gdt_fill(gdt_page, &cpu_tss);
    gdt_load(gdt_page);
    make_read_only((uint64_t)gdt_page);
}
