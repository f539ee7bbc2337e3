/* frame.c: the one owner of physical memory. Used wherever a page is needed.
 * SPDX-License-Identifier: MIT
 *
 * Two allocators that hand out the same frame give a crash far away from its cause, so there is one from the start.
 * Memory that was never used is not touched, not even to link it into a list: 64 GiB cost no more than 32 MiB. */
#include <kernel/kernel.h>

#define EXTENTS_MAX 128 /* what does not fit in stays unused */

struct extent {
    uint64_t start, end; /* physical, page-aligned */
};

static struct extent extents[EXTENTS_MAX]; /* never used so far; no two overlap */
static unsigned extent_count;
static uint64_t free_list; /* given back: each frame begins with the address of the next */
static uint64_t free_count;
static struct lock frame_lock;

extern char image_start[], image_end[];

static void cut(uint64_t start, uint64_t end);

/* Adds [start, end) to the extents, of which it may already be a part. */
static void add(uint64_t start, uint64_t end) {
    cut(start, end);
    if (start < end && extent_count < EXTENTS_MAX)
        extents[extent_count++] = (struct extent){start, end};
}

/* Takes [start, end) out of the extents, and with it each page that it touches. What is left behind it is added: there
 * no extent is any more, so that add() has nothing to cut. */
static void cut(uint64_t start, uint64_t end) {
    start = page_align_down(start);
    end = page_align_up(end);
    for (unsigned n = 0; n < extent_count; n++) {
        struct extent whole = extents[n];
        if (start < end && whole.start < end && whole.end > start) {
            extents[n].end = start > whole.start ? start : whole.start;
            add(end, whole.end);
        }
    }
}

void frame_init(const struct multiboot2_info *info) {
    struct multiboot2_memory memory;
    const struct multiboot2_module *module = NULL;
    for (unsigned n = 0; multiboot2_memory(info, n, &memory); n++)
        if (memory.type == MEMORY_AVAILABLE)
            add(page_align_up(memory.base), page_align_down(memory.base + memory.length));
    for (unsigned n = 0; multiboot2_memory(info, n, &memory); n++)
        if (memory.type != MEMORY_AVAILABLE) /* it wins where entries overlap */
            cut(memory.base, memory.base + memory.length);
    cut(0, 0x100000); /* BIOS data, the VGA screen, the page where other CPUs start */
    cut((uint64_t)image_start, (uint64_t)image_end - KERNEL_BASE);
    cut(virt_to_phys(info), virt_to_phys(info) + info->total_size);
    while ((module = multiboot2_find(info, MULTIBOOT2_MODULE, module)))
        cut(module->start, module->end);
    for (unsigned n = 0; n < extent_count; n++)
        free_count += (extents[n].end - extents[n].start) / PAGE_SIZE;
    if (!free_count)
        panic("the boot loader's memory map is missing, broken or empty");
}

uint64_t frame_alloc(void) {
    uint64_t flags = lock_acquire(&frame_lock);
    uint64_t frame = free_list;
    struct extent *lowest = NULL; /* before paging_init() only the first 4 GiB can be reached */
    for (unsigned n = 0; n < extent_count; n++)
        if (extents[n].start < extents[n].end && (!lowest || extents[n].start < lowest->start))
            lowest = &extents[n];
    if (frame) {
        free_list = *(uint64_t *)phys_to_virt(frame);
    } else if (lowest) {
        frame = lowest->start;
        lowest->start += PAGE_SIZE;
    }
    free_count -= frame != 0;
    lock_release(&frame_lock, flags);
    if (frame)
        memset(phys_to_virt(frame), 0, PAGE_SIZE);
    return frame;
}

void frame_free(uint64_t frame) {
    uint64_t flags = lock_acquire(&frame_lock);
    *(uint64_t *)phys_to_virt(frame) = free_list;
    free_list = frame;
    free_count++;
    lock_release(&frame_lock, flags);
}

uint64_t frame_count_free(void) { return READ_ONCE(free_count); }
