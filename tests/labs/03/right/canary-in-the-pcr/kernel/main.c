/* main.c: stage 03, what is brought up, in order. Called by boot.S on the boot CPU.
 * SPDX-License-Identifier: MIT */
#include <kernel/protect.h>
#include <kernel/syscall.h>
#include <proof/proof.h>

static const char *const words[] = {"selftest", "poweroff", "overflow", NULL};

void canary_init(void);

_Noreturn void kernel_main(uint32_t boot_information) {
    const struct multiboot2_info *info = phys_to_virt(boot_information);
    canary_init();
    console_init();
    printk("ringstep, stage 03: SYSCALL and SWAPGS\n");
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
    program_init(info);

    proofs_run(); /* the words selftest and overflow */
    task_run_all();
}
