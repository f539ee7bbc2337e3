/* address_space.c: builds and takes down the program's half of the page tables. Used by program.c, user_memory.c.
 * SPDX-License-Identifier: MIT */
#include <kernel/address_space.h>

#define PTE_TAKEN 0x200 /* with PTE_PRESENT or without: a bit that the CPU leaves to us */

static uint64_t *pml4(const struct address_space *space) { return phys_to_virt(space->cr3); }

bool address_space_create(struct address_space *space) {
    *space = (struct address_space){.cr3 = frame_alloc(), .mmap_bottom = MMAP_TOP};
    if (!space->cr3)
        return false;
    memcpy(pml4(space) + 256, kernel_pml4 + 256, 256 * sizeof(uint64_t));
    return true;
}

/* Frees the pages of [start, end), which lie below the given table, and each table below it that then is empty. Is this
 * one? INVLPG, before a frame can be somebody else's, makes the CPU forget page and tables. */
static bool free_range(uint64_t *table, unsigned level, uint64_t start, uint64_t end) {
    unsigned shift = 12 + 9 * (level - 1);
    uint64_t next;
    for (uint64_t address = start; address < end; address = next) {
        uint64_t *entry = &table[address >> shift & 511], below = *entry & PTE_ADDRESS;
        bool present = *entry & PTE_PRESENT;
        next = ((address >> shift) + 1) << shift;
        if (level > 1 && !(present && free_range(phys_to_virt(below), level - 1, address, next < end ? next : end)))
            continue;
        *entry = 0;
        invlpg(address);
        if (present)
            frame_free(below);
    }
    unsigned used = 0;
    while (used < 512 && !table[used])
        used++;
    return used == 512;
}

void address_space_destroy(struct address_space *space) {
    free_range(pml4(space), 4, 0, USER_TOP);
    frame_free(space->cr3);
}

void user_unmap(struct address_space *space, uint64_t start, uint64_t size) {
    free_range(pml4(space), 4, start, start + size);
}

bool user_map(struct address_space *space, uint64_t start, uint64_t size, unsigned prot) {
    uint64_t flags = PTE_PRESENT | PTE_USER | (prot & PROT_WRITE ? PTE_WRITE : 0) | (prot & PROT_EXEC ? 0 : PTE_NX);
    if (size / PAGE_SIZE > frame_count_free() || !user_range_free(space, start, size))
        return false;
    for (uint64_t address = start; address < start + size; address += PAGE_SIZE) {
        uint64_t *entry = page_entry(pml4(space), address, 1, true);
        uint64_t frame = entry && prot ? frame_alloc() : 0;
        if (!entry || (prot && !frame)) {
            user_unmap(space, start, address - start);
            return false;
        }
        *entry = PTE_TAKEN | (prot ? frame | flags : 0);
    }
    return true;
}

bool user_range_free(const struct address_space *space, uint64_t start, uint64_t size) {
    uint64_t next;
    for (uint64_t address = start; address < start + size; address = next) {
        const uint64_t *entry = page_entry(pml4(space), address, 1, false);
        if (entry && *entry)
            return false;
        /* One missing table spans a large page. */
        next = entry ? address + PAGE_SIZE : (address / LARGE_PAGE_SIZE + 1) * LARGE_PAGE_SIZE;
    }
    return true;
}

void *user_page(const struct address_space *space, uint64_t address, bool write) {
    if (address >= USER_TOP)
        return NULL;
    const uint64_t *entry = page_entry(pml4(space), address, 1, false);
    uint64_t needed = PTE_PRESENT | (write ? PTE_WRITE : 0);
    if (!entry || (*entry & needed) != needed)
        return NULL;
    return phys_to_virt((*entry & PTE_ADDRESS) + address % PAGE_SIZE);
}

void user_fill(struct address_space *space, uint64_t address, const void *data, size_t size) {
    const char *from = data;
    while (size) {
        size_t left = PAGE_SIZE - address % PAGE_SIZE, part = left < size ? left : size;
        memcpy(user_page(space, address, false), from, part);
        from += part;
        address += part;
        size -= part;
    }
}
