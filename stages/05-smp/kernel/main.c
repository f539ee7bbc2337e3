/* main.c: stage 05, what is brought up, in order. Called by boot.S on the boot CPU.
 * SPDX-License-Identifier: MIT */
#include <kernel/command_line.h>
#include <kernel/console.h>
#include <kernel/cpu.h>
#include <kernel/cpu_features.h>
#include <kernel/flag_threads.h>
#include <kernel/fpu.h>
#include <kernel/frame.h>
#include <kernel/idt.h>
#include <kernel/ipi.h>
#include <kernel/lapic.h>
#include <kernel/memory_layout.h>
#include <kernel/overflow.h>
#include <kernel/paging.h>
#include <kernel/paranoid.h>
#include <kernel/pic.h>
#include <kernel/printk.h>
#include <kernel/protect.h>
#include <kernel/sched.h>
#include <kernel/selftest.h>
#include <kernel/smp.h>
#include <kernel/syscall.h>
#include <kernel/task.h>
#include <kernel/timer.h>
#include <kernel/user_copy.h>
#include <kernel/user_return.h>
#include <stddef.h>

static const char *const words[] = {"selftest", "poweroff", "overflow", NULL};

_Noreturn void kernel_main(uint32_t boot_information)
{
    const struct multiboot2_info *info = phys_to_virt(boot_information);
    console_init();
    console_add_screen(info);
    printk("ringstep, stage 05: all CPUs, and the check of every return\n");
    command_line_init(info, words);
    cpu_features_check();
    frame_init(info);
    paging_init(info);
    protect_patch_text(); /* STAC and CLAC, if there is SMAP */

    cpu_init();      /* PCR with GDT and TSS; GS base */
    paranoid_init(); /* the PCR's address on the IST stacks */
    idt_init();      /* 256 gates */
    idt_load();
    pic_disable();   /* or its timer would look like #DF */
    protect_init();  /* SMEP, SMAP, UMIP */
    fpu_init();      /* SSE for programs */
    user_copy_init();
    user_return_init();
    syscall_init();  /* STAR, LSTAR, SFMASK */
    lapic_init();
    timer_calibrate();
    sched_init();    /* from here on this is the idle task */
    smp_init();
    ipi_init();
    smp_start(info); /* from here on there are others */
    program_init(info);

    if (command_line_has("selftest"))
        selftest_run();
    if (command_line_has("overflow"))
        overflow_stack();
    flag_threads_start();
    task_start_all();
    timer_start();   /* from here on programs are preempted */
    sched_idle();
}
