/* memory.h: the address map, and the ground's three kinds of memory: frames, mapped pages, kernel stacks.
 * SPDX-License-Identifier: MIT
 *
 *   0x0000000000000000  user programs, one address space each
 *   0x0000800000000000  the non-canonical hole: no address there can be used (SDM 1, "Canonical Addressing")
 *   0xffff800000000000  the direct window: physical memory, one to one
 *   0xffffc00000000000  kernel stacks, each with an unmapped page below it
 *   0xffffffff80000000  the kernel's image; kernel.ld says the same */
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
#include <kernel/multiboot2.h>

static inline void *phys_to_virt(uint64_t phys) { return (void *)(DIRECT_BASE + phys); }

/* Of an address in the direct window only. */
static inline uint64_t virt_to_phys(const void *virt) { return (uint64_t)virt - DIRECT_BASE; }

static inline uint64_t page_align_down(uint64_t address) { return address & ~(uint64_t)(PAGE_SIZE - 1); }
static inline uint64_t page_align_up(uint64_t address) { return page_align_down(address + PAGE_SIZE - 1); }

/* frame.c: physical memory, one page frame at a time. info stays in use and is itself never handed out. */
void frame_init(const struct multiboot2_info *info);
uint64_t frame_alloc(void); /* zeroed; 0 when memory is used up */
void frame_free(uint64_t frame);
uint64_t frame_count_free(void); /* how many frame_alloc() can still give */

/* paging.c. The kernel's own map: its image with text read-only and data not executable, and the direct window. */
extern uint64_t kernel_pml4[512];
uint64_t kernel_cr3(void);
void paging_init(const struct multiboot2_info *info);

/* The entry that maps the address: of the given level (1: 4 KiB, 2: 2 MiB), or of a large page above it. With create,
 * missing tables are made. NULL when there is none, or no memory for one. */
uint64_t *page_entry(uint64_t *pml4, uint64_t address, unsigned level, bool create);

/* Maps physical memory into the direct window, where it is not there yet; flags as in a page-table entry. Returns its
 * address there, or NULL if the window cannot show it or there is no memory for tables. For tables of the firmware and
 * for devices. */
void *map_physical(uint64_t phys, uint64_t size, uint64_t flags);

/* Is the page of this kernel address there? For code that follows pointers which may be wrong. */
bool kernel_address_mapped(uint64_t address);

/* kernel_stack.c: the top of a stack, 16-byte aligned, or 0 when there is no memory; and back, for the next one. */
uint64_t kernel_stack_alloc(void);
void kernel_stack_free(uint64_t top);

/* Does the address lie in the page below a kernel stack? Then a fault on it means that the stack was too small. */
bool is_stack_guard(uint64_t address);
#endif
