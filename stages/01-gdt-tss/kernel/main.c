/* main.c: stage 01, what is brought up, in order. Called by boot.S on the boot CPU.
 * SPDX-License-Identifier: MIT */
#include <kernel/syscall.h>
#include <proof/proof.h>

static const char *const words[] = {"selftest", "poweroff", "overflow", NULL};

_Noreturn void kernel_main(uint32_t boot_information) {
    const struct multiboot2_info *info = phys_to_virt(boot_information);
    console_init();
    printk("ringstep, stage 01: GDT, TSS, IDT; into ring 3 and back\n");
    command_line_init(info, words);
    cpu_features_check();
    frame_init(info);
    paging_init(info);

    cpu_init(); /* GDT, TSS and IST stacks */
    idt_init(); /* 256 gates */
    idt_load();
    syscall_init(); /* int 0x80 */
    program_init(info);

    proofs_run(); /* the words selftest and overflow */
    task_run_all();
}
