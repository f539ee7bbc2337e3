/* paging.c: page tables. Builds the kernel's half; address_space.c builds the halves of programs with the same walk.
 * SPDX-License-Identifier: MIT
 *
 * Source: SDM 3A, "4-Level Paging and 5-Level Paging". No page is both writable and executable, through no alias:
 * the kernel's text is read-only in the direct window as well. */
#include <kernel/kernel.h>

uint64_t kernel_pml4[512] __attribute__((aligned(PAGE_SIZE)));

extern char text_start[], text_end[], rodata_end[], image_end[], boot_stack_guard[];

static uint64_t image_phys(const char *symbol) { return (uint64_t)symbol - KERNEL_BASE; }

uint64_t kernel_cr3(void) { return image_phys((const char *)kernel_pml4); }

uint64_t *page_entry(uint64_t *table, uint64_t address, unsigned level, bool create) {
    /* The user bit counts only if it is set at every level; the kernel's half has it at none. */
    uint64_t user = address < USER_TOP ? PTE_USER : 0;
    for (unsigned l = 4;; l--) {
        uint64_t *entry = &table[address >> (12 + 9 * (l - 1)) & 511];
        if (l == level || (*entry & PTE_LARGE && l < 4))
            return entry;
        if (!(*entry & PTE_PRESENT)) {
            uint64_t frame = create ? frame_alloc() : 0;
            if (!frame)
                return NULL;
            *entry = frame | PTE_PRESENT | PTE_WRITE | user;
        }
        table = phys_to_virt(*entry & PTE_ADDRESS);
    }
}

/* Maps [virt, virt + size) in large pages where it can. Leaves alone what is mapped already. False without memory. */
static bool map_kernel(uint64_t virt, uint64_t phys, uint64_t size, uint64_t flags) {
    while (size) {
        bool large = (virt | phys) % LARGE_PAGE_SIZE == 0 && size >= LARGE_PAGE_SIZE;
        uint64_t *entry = page_entry(kernel_pml4, virt, large ? 2 : 1, true);
        if (large && entry && (*entry & (PTE_PRESENT | PTE_LARGE)) == PTE_PRESENT) {
            large = false; /* there are small pages already: only the gaps between them are left */
            entry = page_entry(kernel_pml4, virt, 1, true);
        }
        if (!entry)
            return false;
        if (!(*entry & PTE_PRESENT))
            *entry = phys | flags | PTE_PRESENT | (large ? PTE_LARGE : 0);
        uint64_t step = large ? LARGE_PAGE_SIZE : PAGE_SIZE;
        virt += step;
        phys += step;
        size -= step;
    }
    return true;
}

static bool map_image(const char *start, const char *end, uint64_t flags) {
    return map_kernel((uint64_t)start, image_phys(start), (uint64_t)(end - start), flags);
}

void *map_physical(uint64_t phys, uint64_t size, uint64_t flags) {
    uint64_t start = page_align_down(phys);
    if (phys >= DIRECT_SIZE || size > DIRECT_SIZE - phys)
        return NULL;
    bool mapped = map_kernel(DIRECT_BASE + start, start, page_align_up(phys + size) - start, flags);
    return mapped ? phys_to_virt(phys) : NULL;
}

void paging_init(const struct multiboot2_info *info) {
    struct multiboot2_memory memory;
    bool mapped = map_image(text_start, text_end, 0) && map_image(text_end, rodata_end, PTE_NX) &&
                  map_image(rodata_end, boot_stack_guard, PTE_WRITE | PTE_NX) &&
                  map_image(boot_stack_guard + PAGE_SIZE, image_end, PTE_WRITE | PTE_NX);

    /* What is mapped first stays, so the read-only alias of text and constants comes before the memory it lies in. */
    mapped = mapped && map_physical(image_phys(text_start), (uint64_t)(rodata_end - text_start), PTE_NX);
    mapped = mapped && map_physical(0, 0x100000, PTE_WRITE | PTE_NX);
    mapped = mapped && map_physical(virt_to_phys(info), info->total_size, PTE_WRITE | PTE_NX);
    for (unsigned n = 0; multiboot2_memory(info, n, &memory); n++)
        if (memory.type == MEMORY_AVAILABLE)
            mapped = mapped && map_physical(memory.base, memory.length, PTE_WRITE | PTE_NX);

    /* Every address space copies the top-level entries once, so the one for the kernel stacks must exist from now. */
    if (!mapped || !page_entry(kernel_pml4, STACK_BASE, 3, true))
        panic("no memory for the kernel's page tables");
    write_cr3(kernel_cr3());
}

bool kernel_address_mapped(uint64_t address) {
    if (address < DIRECT_BASE)
        return false;
    uint64_t *entry = page_entry(kernel_pml4, address, 1, false);
    return entry && *entry & PTE_PRESENT;
}
