/* paging.h: page tables, and the kernel's own half of every address space.
 * SPDX-License-Identifier: MIT */
#pragma once
#include <kernel/multiboot2.h>
#include <stdbool.h>
#include <stdint.h>

/* The kernel's top-level table; the CPUs that run no program use it as it is. Its physical address is for CR3. */
extern uint64_t kernel_pml4[512];
uint64_t kernel_cr3(void);

/* Builds the kernel's map: its image with text read-only and data not executable, and the direct window. */
void paging_init(const struct multiboot2_info *info);

/* Turns on what the map needs (EFER.NXE, CR0.WP) and loads it. On every CPU, once. */
void paging_load(void);

/* The entry that maps the address: of the given level (1: 4 KiB, 2: 2 MiB), or of a large page above it. With create,
 * missing tables are made. NULL when there is none, or no memory for one. */
uint64_t *page_entry(uint64_t *pml4, uint64_t address, unsigned level, bool create);

/* Maps physical memory into the direct window, where it is not there yet; flags as in a page-table entry. Returns its
 * address there, or NULL if the window cannot show it. For tables of the firmware and for devices. */
void *map_physical(uint64_t phys, uint64_t size, uint64_t flags);

/* Is the page of this kernel address there? For code that follows pointers which may be wrong. */
bool kernel_address_mapped(uint64_t address);
