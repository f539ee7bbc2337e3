/* main.c: stage 04, what is brought up, in order. Called by boot.S on the boot CPU.
 * SPDX-License-Identifier: MIT */
#include <kernel/lapic.h>
#include <kernel/protect.h>
#include <kernel/sched.h>
#include <kernel/syscall.h>
#include <proof/proof.h>

static const char *const words[] = {"selftest", "poweroff", "overflow", NULL};

_Noreturn void kernel_main(uint32_t boot_information) {
    const struct multiboot2_info *info = phys_to_virt(boot_information);
    console_init();
    printk("ringstep, stage 04: tasks, and a switch that keeps RFLAGS\n");
    command_line_init(info, words);
    cpu_features_check();
    frame_init(info);
    paging_init(info);

    cpu_init();            /* PCR with GDT and TSS; GS base */
    paranoid_set_stacks(); /* the PCR's address on the IST stacks */
    idt_init();            /* 256 gates */
    idt_load();
    protect_init(); /* SMEP, SMAP, UMIP */
    user_copy_init();
    paranoid_init(); /* handlers of NMI and #DB */
    syscall_init();  /* STAR, LSTAR, SFMASK */
    lapic_init();
    clock_init();
    sched_init(); /* from here on this is the idle task */
    program_init(info);

    proofs_run(); /* the words selftest and overflow; two kernel threads */
    task_start_all();
    clock_start_ticks(); /* from here on programs are preempted */
    sched_idle();
}
