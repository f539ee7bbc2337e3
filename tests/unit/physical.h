/* physical.h: a machine's memory for the tests of those who own it: 1 TiB of addresses, with pages as they are touched.
 * SPDX-License-Identifier: MIT
 *
 * Also where the kernel's image lies: its symbols are addresses that no program of the host can have, so the sources
 * see pointers that the test sets. */
#pragma once
#include <sys/mman.h>
#include <unit/information.h>
#include <kernel/memory.h>

#define PHYSICAL_SIZE (1ul << 40)

/* `extern char image_start[]` becomes a pointer to an array, and image_start what it points to. */
#define image_start      (*image_start_at)
#define text_start       (*text_start_at)
#define text_end         (*text_end_at)
#define rodata_end       (*rodata_end_at)
#define boot_stack_guard (*boot_stack_guard_at)
#define image_end        (*image_end_at)
char image_start[], text_start[], text_end[], rodata_end[], boot_stack_guard[], image_end[];

static uint8_t *physical;

void *phys_to_virt(uint64_t phys) {
    CHECK(phys < PHYSICAL_SIZE);
    return physical + phys;
}

uint64_t virt_to_phys(const void *virt) { return (uint64_t)((const uint8_t *)virt - physical); }

/* All of it zero again. */
static inline void physical_clear(void) {
    if (!physical)
        physical =
            mmap(NULL, PHYSICAL_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(physical != MAP_FAILED);
    CHECK(!madvise(physical, PHYSICAL_SIZE, MADV_DONTNEED));
}

/* The kernel has its own, of the same values. */
#undef PROT_READ
#undef PROT_WRITE
#undef PROT_EXEC

/* Puts the kernel's image at 1 MiB, with its parts of the given numbers of pages. Returns its physical end. */
static inline uint64_t physical_place_image(uint64_t boot, uint64_t text, uint64_t rodata, uint64_t data) {
    uint64_t at = 0x100000;
    image_start_at = (void *)at;
    text_start_at = (void *)(KERNEL_BASE + (at += boot * PAGE_SIZE));
    text_end_at = (void *)(KERNEL_BASE + (at += text * PAGE_SIZE));
    rodata_end_at = (void *)(KERNEL_BASE + (at += rodata * PAGE_SIZE));
    boot_stack_guard_at = (void *)(KERNEL_BASE + (at += PAGE_SIZE));
    image_end_at = (void *)(KERNEL_BASE + (at += data * PAGE_SIZE));
    return at;
}

/* Copies the boot information there, as the boot loader does. */
static inline const struct multiboot2_info *physical_place_information(uint64_t phys, const struct information *info) {
    return memcpy(phys_to_virt(phys), info, info->head.total_size);
}

struct range {
    uint64_t start, end;
};

/* Does it have a byte in common with the page? An empty range that is not aligned counts as the page around it. */
static inline bool range_touches(struct range range, uint64_t page) {
    return page_align_down(range.start) < page + PAGE_SIZE && page_align_up(range.end) > page;
}
