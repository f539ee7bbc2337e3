/* frame.c: the one owner of physical memory. Used wherever a page is needed.
 * SPDX-License-Identifier: MIT
 *
 * Two allocators that hand out the same frame give a crash far away from its cause, so there is one from the start.
 * Memory that was never used is not touched, not even to link it into a list: 64 GiB cost no more than 32 MiB. */
#include <kernel/kernel.h>

struct extent {
    uint64_t start, end; /* physical, page-aligned */
};

static struct lock frame_lock;
static const struct multiboot2_info *boot_info;
static struct extent fresh; /* never used so far, next in line */
static uint64_t free_list;  /* given back: each frame begins with the address of the next */
static uint64_t free_count;

extern char image_start[], image_end[];

/* Takes [start, end) out of the extent: cuts off its tail, or else moves its start up. */
static void cut(struct extent *extent, uint64_t start, uint64_t end) {
    if (end <= extent->start || start >= extent->end)
        return;
    if (page_align_down(start) > extent->start)
        extent->end = page_align_down(start);
    else
        extent->start = page_align_up(end);
}

/* Takes out all that is in use since before the kernel began. */
static void cut_all_used(struct extent *extent) {
    struct multiboot2_memory memory;
    const struct multiboot2_module *module = NULL;
    cut(extent, 0, 0x100000); /* BIOS data, the VGA screen, the page where other CPUs start */
    cut(extent, (uint64_t)image_start, (uint64_t)image_end - KERNEL_BASE);
    cut(extent, virt_to_phys(boot_info), virt_to_phys(boot_info) + boot_info->total_size);
    while ((module = multiboot2_find(boot_info, MULTIBOOT2_MODULE, module)))
        cut(extent, module->start, module->end);
    for (unsigned n = 0; multiboot2_memory(boot_info, n, &memory); n++)
        if (memory.type != MEMORY_AVAILABLE) /* it wins where entries overlap */
            cut(extent, memory.base, memory.base + memory.length);
}

/* The lowest free extent at or above the given address; empty (start 0) at the end of memory. */
static struct extent next_extent(uint64_t from) {
    struct extent best;
    uint64_t start;
    do {
        struct multiboot2_memory memory;
        best = (struct extent){0, 0};
        for (unsigned n = 0; multiboot2_memory(boot_info, n, &memory); n++) {
            struct extent e = {page_align_up(memory.base), page_align_down(memory.base + memory.length)};
            if (e.start < from)
                e.start = from;
            if (memory.type == MEMORY_AVAILABLE && e.start < e.end && (!best.end || e.start < best.start))
                best = e;
        }
        start = best.start;
        cut_all_used(&best);
        from = best.start;
    } while (best.start != start); /* moved up: what was passed before may now be in the way */
    return best;
}

void frame_init(const struct multiboot2_info *info) {
    boot_info = info;
    fresh = next_extent(0);
    for (struct extent e = fresh; e.start < e.end; e = next_extent(e.end))
        free_count += (e.end - e.start) / PAGE_SIZE;
}

uint64_t frame_alloc(void) {
    uint64_t flags = lock_acquire(&frame_lock);
    uint64_t frame = free_list;
    if (frame) {
        free_list = *(uint64_t *)phys_to_virt(frame);
    } else if (fresh.start < fresh.end) {
        frame = fresh.start;
        fresh.start += PAGE_SIZE;
        if (fresh.start == fresh.end)
            fresh = next_extent(fresh.end);
    }
    free_count -= frame != 0;
    lock_release(&frame_lock, flags);
    return frame;
}

uint64_t frame_alloc_zeroed(void) {
    uint64_t frame = frame_alloc();
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
