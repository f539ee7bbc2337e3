/* paging.c: the kernel's map, read as the CPU reads it: every frame of memory can be used through the direct window,
 * and no page is writable and executable through any alias.
 * SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <unit/physical.h>
#include <kernel/multiboot2.c>
#include <kernel/frame.c>
#include <kernel/paging.c>

#define ENTRIES_MAX 8

static struct information info;
static const struct multiboot2_info *placed;
static struct multiboot2_memory entries[ENTRIES_MAX];
static unsigned entry_count;
static uint64_t loaded_cr3;
static jmp_buf panicked;

void fake_write_cr3(uint64_t value) { loaded_cr3 = value; }

uint64_t panic_begin(const char *format, ...) {
    CHECK(!strcmp(format, "no memory for the kernel's page tables") ||
          (!frame_count_free() && !strcmp(format, "the boot loader's memory map is missing, broken or empty")));
    return 0;
}

_Noreturn void panic_end(uint64_t rip, uint64_t rbp) { longjmp(panicked, 1); }

struct mapping {
    bool present, write, user, execute;
    uint64_t phys;
};

/* The CPU's walk: rights are the least of all levels. Source: SDM 3A, "Access Rights". */
static struct mapping look_up(uint64_t address) {
    const uint64_t *table = kernel_pml4;
    struct mapping m = {.write = true, .user = true, .execute = true};
    for (int shift = 39; shift >= 12; shift -= 9) {
        uint64_t entry = table[address >> shift & 511];
        if (!(entry & PTE_PRESENT))
            return (struct mapping){0};
        m.write &= !!(entry & PTE_WRITE);
        m.user &= !!(entry & PTE_USER);
        m.execute &= !(entry & PTE_NX);
        if (shift == 12 || (entry & PTE_LARGE && shift < 39)) {
            uint64_t offset = (1ul << shift) - 1;
            m.present = true;
            m.phys = (entry & PTE_ADDRESS & ~offset) | (address & offset);
            return m;
        }
        table = phys_to_virt(entry & PTE_ADDRESS);
    }
    return m;
}

static void check_leaf(uint64_t address, uint64_t size) {
    struct mapping m = look_up(address);
    CHECK(m.present && !m.user);
    CHECK(!(m.write && m.execute));
    if (address >= DIRECT_BASE && address < STACK_BASE)
        CHECK_EQUAL(m.phys, address - DIRECT_BASE);
    if (m.execute)
        CHECK(address >= (uint64_t)text_start && address + size <= (uint64_t)text_end);
    /* mutant kernel/paging.c: mapped && map_physical(image_phys(text_start), (uint64_t)(rodata_end - text_start),
       PTE_NX); => mapped; */
    if (m.write)
        CHECK(m.phys + size <= (uint64_t)text_start - KERNEL_BASE || m.phys >= (uint64_t)rodata_end - KERNEL_BASE);
}

/* Every page that is mapped, found from the tables themselves. */
static void check_leaves(const uint64_t *table, int shift, uint64_t base) {
    for (uint64_t i = 0; i < 512; i++) {
        uint64_t address = base | i << shift;
        if (shift == 39 && i >= 256)
            address |= 0xffff000000000000;
        if (!(table[i] & PTE_PRESENT))
            continue;
        CHECK(shift != 39 || i >= 256); /* nothing in ring 3's half */
        if (shift == 12 || (table[i] & PTE_LARGE && shift < 39))
            check_leaf(address, 1ul << shift);
        else
            check_leaves(phys_to_virt(table[i] & PTE_ADDRESS), shift - 9, address);
    }
}

static void check_range(uint64_t start, uint64_t end, bool write, bool execute) {
    for (uint64_t address = start; address < end; address += PAGE_SIZE) {
        struct mapping m = look_up(address);
        CHECK(m.present);
        CHECK_EQUAL(m.write, write);
        CHECK_EQUAL(m.execute, execute);
        CHECK_EQUAL(m.phys, address - KERNEL_BASE);
    }
}

static void check_image(void) {
    check_range((uint64_t)text_start, (uint64_t)text_end, false, true);
    /* mutant kernel/paging.c: map_image(text_end, rodata_end, PTE_NX) =>
       map_image(text_end, rodata_end, PTE_NX | PTE_WRITE) */
    check_range((uint64_t)text_end, (uint64_t)rodata_end, false, false);
    check_range((uint64_t)rodata_end, (uint64_t)boot_stack_guard, true, false);
    /* mutant kernel/paging.c: map_image(boot_stack_guard + PAGE_SIZE, image_end =>
       map_image(boot_stack_guard, image_end */
    CHECK(!look_up((uint64_t)boot_stack_guard).present);
    check_range((uint64_t)boot_stack_guard + PAGE_SIZE, (uint64_t)image_end, true, false);
}

/* Can the kernel write to this frame? */
static void check_usable(uint64_t frame) {
    struct mapping m = look_up(DIRECT_BASE + frame);
    CHECK(m.present && m.write && !m.execute && m.phys == frame);
}

/* A machine with the entries that are set. False if the kernel finds no memory for its tables, and says so. */
static bool start_machine(uint64_t text_pages) {
    physical_clear();
    memset(kernel_pml4, 0, sizeof(kernel_pml4));
    physical_place_image(1, text_pages, 2, 5);
    information_begin(&info);
    information_add_memory(&info, entries, entry_count, 24);
    information_end(&info);
    free_list = free_count = extent_count = loaded_cr3 = 0;
    placed = physical_place_information(0x9000, &info);
    if (setjmp(panicked))
        return false;
    frame_init(placed);
    paging_init(placed);
    return true;
}

static void check_machine(void) {
    CHECK_EQUAL(loaded_cr3, (uint64_t)kernel_pml4 - KERNEL_BASE);
    check_leaves(kernel_pml4, 39, 0);
    check_image();
    for (uint64_t frame = 0; frame < 0x100000; frame += PAGE_SIZE)
        check_usable(frame);
    /* mutant kernel/paging.c: || !page_entry(kernel_pml4, STACK_BASE, 3, true)) => ) */
    CHECK(kernel_pml4[STACK_BASE >> 39 & 511] & PTE_PRESENT); /* every address space copies it */
}

static void test_plain(void) {
    entry_count = 3;
    entries[0] = (struct multiboot2_memory){0, 0x9f000, 1, 0};
    entries[1] = (struct multiboot2_memory){0x100000, 0x7ee0000, 1, 0};
    entries[2] = (struct multiboot2_memory){0xfffc0000, 0x40000, 2, 0};
    CHECK(start_machine(20));
    check_machine();
    for (uint64_t frame; (frame = frame_alloc());)
        check_usable(frame);
    CHECK(!look_up(DIRECT_BASE + 0xfffc0000).present); /* devices are mapped when they are asked for */
    CHECK(!look_up(0).present);
}

/* Text that reaches into the next large page. */
static void test_large_image(void) {
    CHECK(start_machine(700));
    check_machine();
    for (uint64_t frame; (frame = frame_alloc());)
        check_usable(frame);
}

static void test_beyond_4_gib(void) {
    entry_count = 2;
    entries[0] = (struct multiboot2_memory){0x100000, 0x1f00000, 1, 0};
    entries[1] = (struct multiboot2_memory){0x100000000, 0x40001000, 1, 0};
    CHECK(start_machine(20));
    check_machine();
    check_usable(0x100000000);
    check_usable(0x140000000);
    CHECK(!look_up(DIRECT_BASE + 0x140001000).present);
}

static void test_no_memory(void) {
    entry_count = 0;
    CHECK(!start_machine(20));
    entry_count = 1;
    for (unsigned frames = 0; frames < 12; frames++) { /* some of them not enough, and none a fault */
        entries[0] = (struct multiboot2_memory){0x200000, frames * PAGE_SIZE, 1, 0};
        if (start_machine(20))
            check_machine();
        else
            CHECK(frames < 11);
    }
}

/* Entries that overlap, touch and begin anywhere; what frame_alloc() gives, the window shows. */
static void test_any_map(void) {
    for (unsigned round = 0; round < 400; round++) {
        entry_count = 1 + (unsigned)any_below(ENTRIES_MAX);
        entries[0] = (struct multiboot2_memory){0x1000000, 0x40000, 1, 0};
        for (unsigned n = 1; n < entry_count; n++) {
            uint64_t base = 0x100000 + any_below(0xc00) * PAGE_SIZE, size = any_below(0x500) * PAGE_SIZE;
            if (any_below(2))
                base &= ~(LARGE_PAGE_SIZE - 1ul);
            if (!any_below(4))
                base += 0x100000000;
            if (!any_below(4))
                size += any_below(PAGE_SIZE);
            entries[n] = (struct multiboot2_memory){base, size, any_below(5) ? 1 : 2, 0};
        }
        CHECK(start_machine(1 + any_below(400)));
        check_machine();
        for (uint64_t frame; (frame = frame_alloc());)
            check_usable(frame);
    }
}

/* A table of the firmware or a device: all of its bytes, and nothing that was there changes. */
static void test_map_physical(void) {
    static const uint64_t starts[] = {0xfee00000, 0xbffff7e1, 0x1ff000, 0x3fffff, 0x100000000 - 5, 0x7ff0000};
    entry_count = 1;
    entries[0] = (struct multiboot2_memory){0x100000, 0x7ee0000, 1, 0};
    CHECK(start_machine(20));
    for (unsigned n = 0; n < sizeof(starts) / sizeof(starts[0]); n++) {
        for (uint64_t size = 1; size < 3 * LARGE_PAGE_SIZE; size = size * 5 + 3) {
            CHECK(map_physical(starts[n], size, PTE_WRITE | PTE_NX) == phys_to_virt(starts[n]));
            for (uint64_t at = page_align_down(starts[n]); at < starts[n] + size; at += PAGE_SIZE)
                CHECK(look_up(DIRECT_BASE + at).present);
        }
    }
    check_machine();
    /* mutant kernel/paging.c: phys >= DIRECT_SIZE || => */
    CHECK(!map_physical(DIRECT_SIZE, 1, PTE_NX));
    CHECK(!map_physical(UINT64_MAX, 1, PTE_NX));
    CHECK(!map_physical(DIRECT_SIZE - 1, 2, PTE_NX));
    CHECK(!map_physical(1, UINT64_MAX, PTE_NX));
    CHECK(!map_physical(UINT64_MAX - 1, 100, PTE_NX));
}

static void test_kernel_address_mapped(void) {
    CHECK(start_machine(20));
    CHECK(kernel_address_mapped((uint64_t)text_start));
    CHECK(kernel_address_mapped(DIRECT_BASE));
    CHECK(!kernel_address_mapped((uint64_t)boot_stack_guard));
    CHECK(!kernel_address_mapped(STACK_BASE));
    CHECK(!kernel_address_mapped(UINT64_MAX - 7));
    /* mutant kernel/paging.c: if (address < DIRECT_BASE) => if (0) */
    CHECK(!kernel_address_mapped((uint64_t)text_start & 0x0000ffffffffffff)); /* not canonical, to the CPU */
    CHECK(!kernel_address_mapped(0));
    CHECK(!kernel_address_mapped(0x401000));
}

int main(void) {
    test_plain();
    test_beyond_4_gib();
    test_no_memory();
    test_map_physical();
    test_kernel_address_mapped();
    test_large_image();
    test_any_map();
    return 0;
}
