/* kernel_stack.c: the stacks on which the kernel runs: a task's, and those of the interrupt stack table.
 * SPDX-License-Identifier: MIT */
#include <kernel/kernel.h>

static struct lock stack_lock;
static uint64_t unused = STACK_BASE; /* the first slot that was never given out */
static uint64_t free_list;           /* tops; the word below a top says the next one */

extern char boot_stack_guard[];

static bool map_stack(uint64_t slot) {
    for (uint64_t page = slot + PAGE_SIZE; page < slot + STACK_SLOT_SIZE; page += PAGE_SIZE) {
        uint64_t *entry = page_entry(kernel_pml4, page, 1, true);
        uint64_t frame = entry && !*entry ? frame_alloc() : 0;
        if (!entry || (!frame && !*entry))
            return false; /* what is mapped waits for the next try */
        if (frame)
            *entry = frame | PTE_PRESENT | PTE_WRITE | PTE_NX;
    }
    return true;
}

uint64_t kernel_stack_alloc(void) {
    uint64_t flags = lock_acquire(&stack_lock);
    uint64_t top = free_list;
    if (top) {
        free_list = ((uint64_t *)top)[-1];
    } else if (map_stack(unused)) {
        unused += STACK_SLOT_SIZE;
        top = unused;
    }
    lock_release(&stack_lock, flags);
    return top;
}

void kernel_stack_free(uint64_t top) {
    uint64_t flags = lock_acquire(&stack_lock);
    ((uint64_t *)top)[-1] = free_list;
    free_list = top;
    lock_release(&stack_lock, flags);
}

bool is_stack_guard(uint64_t address) {
    bool in_slot = address >= STACK_BASE && address < unused && (address - STACK_BASE) % STACK_SLOT_SIZE < PAGE_SIZE;
    return in_slot || page_align_down(address) == (uint64_t)boot_stack_guard;
}
