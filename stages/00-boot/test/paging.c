/* paging.c: the kernel's map as it is loaded.
 * SPDX-License-Identifier: MIT */
#include <kernel/memory.h>
#include <proof/selftest.h>
#include <kernel/x86.h>
#include <test/tables.h>

extern char text_start[], text_end[], rodata_end[], image_end[], boot_stack_guard[];

static bool write_or_execute(const struct mapping *m) { return !(m->write && m->execute); }

static bool kernels_alone(const struct mapping *m) { return !m->user && m->address >= DIRECT_BASE; }

static bool executable_is_text(const struct mapping *m) {
    return !m->execute || (m->address >= (uint64_t)text_start && m->address + m->size <= (uint64_t)text_end);
}

static bool window_is_one_to_one(const struct mapping *m) {
    return m->address >= STACK_BASE || m->phys == m->address - DIRECT_BASE;
}

/* Text and constants, by whatever address. */
static bool text_is_read_only(const struct mapping *m) {
    uint64_t start = (uint64_t)text_start - KERNEL_BASE, end = (uint64_t)rodata_end - KERNEL_BASE;
    return !m->write || m->phys + m->size <= start || m->phys >= end;
}

TEST(kernel_map) {
    ok(!count_wrong_mappings(write_or_execute), "no page is writable and executable");
    /* mutant kernel/paging.c: map_image(text_end, rodata_end, PTE_NX) => map_image(text_end, rodata_end, 0) */
    ok(!count_wrong_mappings(executable_is_text), "nothing but the kernel's text is executable");
    ok(!count_wrong_mappings(kernels_alone), "no page is ring 3's, and none lies in its half");
    ok(!count_wrong_mappings(window_is_one_to_one), "the direct window shows each address as it is");
    ok(!count_wrong_mappings(text_is_read_only), "text and constants are read-only through every alias");
}

TEST(image) {
    ok(mapping_of((uint64_t)text_start).execute, "the text can be executed");
    ok(mapping_of((uint64_t)image_end - 1).write, "the data can be written");
    ok(!mapping_of((uint64_t)boot_stack_guard).present, "no page lies below the boot stack");
    ok(mapping_of((uint64_t)boot_stack_guard + PAGE_SIZE).write, "the boot stack itself is there");
    ok(!mapping_of(0).present, "a null pointer leads nowhere");
}

TEST(paging_is_on_with_all_rights_checked) {
    ok(read_cr0() & CR0_WP, "ring 0 cannot write to read-only pages");
    ok(rdmsr(MSR_EFER) & EFER_NXE, "NX counts");
    ok((read_cr3() & PTE_ADDRESS) == kernel_cr3(), "the kernel's own tables are loaded");
}

TEST(kernel_address_mapped_agrees) {
    ok(kernel_address_mapped((uint64_t)text_start), "the text is there");
    ok(!kernel_address_mapped((uint64_t)boot_stack_guard), "the guard page is not");
    ok(!kernel_address_mapped(0x401000), "ring 3's addresses do not count");
    ok(!kernel_address_mapped((uint64_t)text_start & ~(1ul << 63)), "nor do those that are not canonical");
}
