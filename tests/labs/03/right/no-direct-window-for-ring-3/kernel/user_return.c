/* user_return.c: the last thing before a program goes on. Called by trap.c and syscall_entry.S, interrupts off;
 * replaced in stage 04.
 * SPDX-License-Identifier: MIT */
#include <kernel/pcr.h>
#include <kernel/trap.h>

/* The top-level table that ring 3 runs with. One CPU, so one is enough. */
static uint64_t program_pml4[512] __attribute__((aligned(PAGE_SIZE)));

/* The task's half as it is now, for it may have got memory; of the kernel's half all but the direct window. */
void narrow_map(void) {
    const unsigned window = PML4_INDEX(DIRECT_BASE), behind = PML4_INDEX(DIRECT_BASE + DIRECT_SIZE);
    memcpy(program_pml4, phys_to_virt(this_cpu->task_cr3), 256 * sizeof(uint64_t));
    for (unsigned i = 256; i < 512; i++)
        program_pml4[i] = i >= window && i < behind ? 0 : kernel_pml4[i];
    this_cpu->program_cr3 = (uint64_t)program_pml4 - KERNEL_BASE; /* the image lies one to one from 0 on */
}

/* Shows, once, that the pair of GS bases has changed hands. */
static void show_gs(const struct trap_frame *frame) {
    static bool shown;
    if (shown || frame->vector != VECTOR_SYSCALL)
        return;
    shown = true;
    printk("first system call: IA32_GS_BASE = 0x%lx (the PCR), IA32_KERNEL_GS_BASE = 0x%lx (the program's)\n",
           rdmsr(MSR_GS_BASE), rdmsr(MSR_KERNEL_GS_BASE));
}

void user_return(struct trap_frame *frame) {
    show_gs(frame);
    narrow_map();
    /* Whoever wrote the frame: a program gets no flags but its own, and interrupts are on. */
    frame->rflags = (frame->rflags & RFLAGS_USER) | RFLAGS_IF | RFLAGS_ONE;
}
