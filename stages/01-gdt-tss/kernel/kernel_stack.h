/* kernel_stack.h: stacks of KERNEL_STACK_SIZE bytes, each above a page that is never mapped.
 * SPDX-License-Identifier: MIT */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* Returns the top of a stack, 16-byte aligned, or 0 when there is no memory. */
uint64_t kernel_stack_alloc(void);

/* Takes it back, for the next one that asks: what is mapped stays mapped, so no TLB has to hear of it. */
void kernel_stack_free(uint64_t top);

/* Does the address lie in the page below a kernel stack? Then a fault on it means that the stack was too small. */
bool is_stack_guard(uint64_t address);
