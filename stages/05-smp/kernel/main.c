/* main.c: stage 05, what is brought up, in order. Called by boot.S on the boot CPU.
 * SPDX-License-Identifier: MIT */
#include <kernel/protect.h>
#include <kernel/smp.h>
#include <kernel/syscall.h>
#include <proof/proof.h>

static const char *const words[] = {"selftest", "poweroff", "overflow", NULL};

/* What each CPU needs besides its PCR; the other CPUs come here from smp.c. */
void cpu_setup(void) {
    paranoid_set_stacks(); /* the PCR's address on the IST stacks */
    idt_load();
    protect_init(); /* SMEP, SMAP, UMIP; SSE for programs */
    syscall_init(); /* STAR, LSTAR, SFMASK */
    lapic_init();
    this_cpu->apic_id = lapic_read(LAPIC_ID) >> 24; /* by which others reach it, and a panic knows it */
    sched_init();                                   /* from here on this is the idle task */
}

_Noreturn void kernel_main(uint32_t boot_information) {
    const struct multiboot2_info *info = phys_to_virt(boot_information);
    console_init();
    printk("ringstep, stage 05: all CPUs, and the check of every return\n");
    command_line_init(info, words);
    cpu_features_check();
    frame_init(info);
    paging_init(info);

    cpu_init(); /* PCR with GDT and TSS; GS base */
    idt_init(); /* 256 gates */
    user_copy_init();
    paranoid_init(); /* handlers of NMI and #DB; smp_start() changes the first of them */
    user_return_init();
    cpu_setup();
    clock_init();
    smp_start(info); /* from here on there are others */
    program_init(info);

    proofs_run(); /* the words selftest and overflow; two kernel threads */
    task_start_all();
    clock_start_ticks(); /* from here on programs are preempted */
    sched_idle();
}
