/* frame.h: physical memory, one page frame at a time.
 * SPDX-License-Identifier: MIT */
#pragma once
#include <kernel/multiboot2.h>
#include <stdint.h>

/* A frame allocator knows free memory from two sources: frames that were given back, and extents of the memory map
 * that nobody has touched yet. info stays in use and is itself never handed out. */
void frame_init(const struct multiboot2_info *info);

/* The physical address of a frame of unknown content, or of a zeroed one; 0 when memory is used up. */
uint64_t frame_alloc(void);
uint64_t frame_alloc_zeroed(void);

/* Takes back a frame that frame_alloc() gave. */
void frame_free(uint64_t frame);

/* Frames that frame_alloc() can still give. */
uint64_t frame_count_free(void);
