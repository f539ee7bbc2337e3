/* memory.h: the kernel's own, but physical memory lies where the test has put it (unit/physical.h).
 * SPDX-License-Identifier: MIT */
#pragma once
#define phys_to_virt kernel_phys_to_virt
#define virt_to_phys kernel_virt_to_phys
#include_next <kernel/memory.h>
#undef phys_to_virt
#undef virt_to_phys

void *phys_to_virt(uint64_t phys);
uint64_t virt_to_phys(const void *virt);
