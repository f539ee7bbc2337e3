/* memory_layout.h: the address map, for C, assembly and by hand for kernel.ld. What lies where is decided here alone.
 * SPDX-License-Identifier: MIT
 *
 *   0x0000000000000000  user programs, one address space each
 *   0x0000800000000000  the non-canonical hole: no address there can be used (SDM 1, "Canonical Addressing")
 *   0xffff800000000000  the direct window: physical memory, one to one
 *   0xffffc00000000000  kernel stacks, each with an unmapped page below it
 *   0xffffffff80000000  the kernel's image */
#pragma once

#define PAGE_SIZE       0x1000
#define LARGE_PAGE_SIZE 0x200000

#define USER_TOP    0x0000800000000000
#define DIRECT_BASE 0xffff800000000000
#define DIRECT_SIZE 0x0000400000000000
#define STACK_BASE  0xffffc00000000000
#define KERNEL_BASE 0xffffffff80000000

/* One slot is an unmapped guard page and the stack above it. */
#define KERNEL_STACK_SIZE (3 * PAGE_SIZE)
#define STACK_SLOT_SIZE   (4 * PAGE_SIZE)

#define PML4_INDEX(address) (((address) >> 39) & 511)
#define PDPT_INDEX(address) (((address) >> 30) & 511)

#ifndef __ASSEMBLER__
#include <stdint.h>

static inline void *phys_to_virt(uint64_t phys)
{
    return (void *)(DIRECT_BASE + phys);
}

/* Of an address in the direct window only. */
static inline uint64_t virt_to_phys(const void *virt)
{
    return (uint64_t)virt - DIRECT_BASE;
}

static inline uint64_t page_align_down(uint64_t address)
{
    return address & ~(uint64_t)(PAGE_SIZE - 1);
}

/* Wraps to 0 within the last page; callers check their range first. */
static inline uint64_t page_align_up(uint64_t address)
{
    return page_align_down(address + PAGE_SIZE - 1);
}
#endif
