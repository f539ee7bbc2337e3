/* tables.c: reads the page tables as the CPU does. Used by the tests of paging and of address spaces.
 * SPDX-License-Identifier: MIT
 *
 * Source: SDM 3A, "4-Level Paging and 5-Level Paging". Not by page_entry(), which is what is tested. */
#include <kernel/memory.h>
#include <kernel/x86.h>
#include <test/tables.h>

static struct mapping below(struct mapping above, uint64_t entry) {
    above.present = entry & PTE_PRESENT;
    above.write = above.write && entry & PTE_WRITE;
    above.user = above.user && entry & PTE_USER;
    above.execute = above.execute && !(entry & PTE_NX);
    return above;
}

static bool is_leaf(uint64_t entry, unsigned shift) { return shift == 12 || (entry & PTE_LARGE && shift < 39); }

static const uint64_t *top(void) { return phys_to_virt(read_cr3() & PTE_ADDRESS); }

static const struct mapping all_rights = {.write = true, .user = true, .execute = true};

struct mapping mapping_of(uint64_t address) {
    struct mapping m = all_rights;
    const uint64_t *table = top();
    for (unsigned shift = 39;; shift -= 9) {
        uint64_t entry = table[address >> shift & 511];
        m = below(m, entry);
        m.size = 1ul << shift;
        m.address = address & ~(m.size - 1);
        m.phys = (entry & PTE_ADDRESS & ~(m.size - 1)) | (address & (m.size - 1));
        if (!m.present || is_leaf(entry, shift))
            return m;
        table = phys_to_virt(entry & PTE_ADDRESS);
    }
}

static unsigned count_below(const uint64_t *table, unsigned shift, struct mapping above,
                            bool (*look)(const struct mapping *)) {
    unsigned wrong = 0;
    for (uint64_t i = 0; i < 512; i++) {
        struct mapping m = below(above, table[i]);
        m.size = 1ul << shift;
        m.address = above.address | i << shift;
        if (shift == 39 && i >= 256)
            m.address |= 0xffff000000000000;
        m.phys = table[i] & PTE_ADDRESS & ~(m.size - 1);
        if (!m.present)
            continue;
        if (is_leaf(table[i], shift))
            wrong += !look(&m);
        else
            wrong += count_below(phys_to_virt(table[i] & PTE_ADDRESS), shift - 9, m, look);
    }
    return wrong;
}

unsigned count_wrong_mappings(bool (*look)(const struct mapping *mapping)) {
    return count_below(top(), 39, all_rights, look);
}
