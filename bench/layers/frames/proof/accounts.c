/* accounts.c: what the kernel's memory is used for: for each kind of thing, how many page frames it takes. They are
 * counted where the things are, and beside it stands how many the allocator has given out: the sum must be the same.
 * tools/measure/memory.py lays it on the last stage. By its name it runs before the threads of flags.c are made.
 * SPDX-License-Identifier: MIT */
#include <kernel/smp.h>
#include <proof/proof.h>
#include <proof/results.h>

#define STACK_FRAMES (KERNEL_STACK_SIZE / PAGE_SIZE)

extern uint64_t frames_at_first;
extern char image_start[], image_end[];

static void tell(const char *name, uint64_t frames) { print_result(name, 1, 1, &frames, 1); }

/* Lies it in the image? Then no frame was taken for it. */
static bool in_image(const void *address) {
    uint64_t at = (uint64_t)address;
    return at >= KERNEL_BASE && at < (uint64_t)image_end;
}

/* The page table behind an entry, and all below it. */
static uint64_t count_tables(uint64_t entry, unsigned level) {
    uint64_t count = 1;
    if (!(entry & PTE_PRESENT) || entry & PTE_LARGE)
        return 0;
    const uint64_t *table = phys_to_virt(entry & PTE_ADDRESS);
    for (unsigned n = 0; n < 512 && level > 1; n++)
        count += count_tables(table[n], level - 1);
    return count;
}

static bool is_stack(uint64_t top) { return top > STACK_BASE && PML4_INDEX(top) == PML4_INDEX(STACK_BASE); }

/* Page tables: those of the stacks, of which each CPU needs some, and all others. */
static void tell_tables(void) {
    uint64_t of_stacks = 0, others = 0;
    for (unsigned n = 256; n < 512; n++)
        *(n == PML4_INDEX(STACK_BASE) ? &of_stacks : &others) += count_tables(kernel_pml4[n], 3);
    tell("tables-of-stacks", of_stacks);
    tell("tables", others);
}

/* Of every PCR in the list, also one that no CPU has taken. */
static void tell_cpus(void) {
    uint64_t pcrs = 0, interrupt_stacks = 0, stacks = 0, idle = 0;
    for (const struct pcr *pcr = smp_first; pcr; pcr = pcr->next) {
        pcrs += !in_image(pcr);
        for (unsigned n = 0; n < ARRAY_LENGTH(pcr->tss.ist); n++)
            interrupt_stacks += is_stack(pcr->tss.ist[n]) ? STACK_FRAMES : 0;
        stacks += is_stack(pcr->tss.rsp0) ? STACK_FRAMES : 0;
        /* Where it lies in the PCR's own page, it is counted with that. */
        idle += pcr->idle && !in_image(pcr->idle) && page_align_down((uint64_t)pcr->idle) != (uint64_t)pcr;
    }
    tell("pcrs", pcrs);
    tell("interrupt-stacks", interrupt_stacks);
    tell("stacks", stacks);
    tell("idle-tasks", idle);
}

static void tell_accounts(void) {
    uint64_t online = 0;
    for (const struct pcr *pcr = smp_first; pcr; pcr = pcr->next)
        online += pcr->presence == CPU_ONLINE;
    tell("cpus", online);
    tell("image", page_align_up((uint64_t)image_end - KERNEL_BASE - (uint64_t)image_start) / PAGE_SIZE);
    tell("taken", frames_at_first - frame_count_free());
    tell_cpus();
    tell_tables();
}

PROOF(NULL, tell_accounts);
