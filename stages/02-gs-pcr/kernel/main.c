/* main.c: stage 02, what is brought up, in order. Called by boot.S on the boot CPU.
 * SPDX-License-Identifier: MIT */
#include <kernel/syscall.h>
#include <proof/proof.h>

static const char *const words[] = {"selftest", "poweroff", "overflow", NULL};

/* Every value but the first comes through GS, by the offset that is shown. */
static void show_pcr(void) {
    printk("pcr: IA32_GS_BASE   = 0x%lx\n", rdmsr(MSR_GS_BASE));
    printk("pcr: gs:[0x%03lx] self     = 0x%lx\n", offsetof(struct pcr, self), (uint64_t)this_cpu->self);
    printk("pcr: gs:[0x%03lx] gdt[1]   = 0x%lx\n", offsetof(struct pcr, gdt[1]), this_cpu->gdt[1]);
    printk("pcr: gs:[0x%03lx] tss.rsp0 = 0x%lx\n", offsetof(struct pcr, tss.rsp0), this_cpu->tss.rsp0);
    printk("pcr: gs:[0x%03lx] cpu      = %u\n", offsetof(struct pcr, cpu), this_cpu->cpu);
    printk("pcr: gs:[0x%03lx] syscalls = %lu\n", offsetof(struct pcr, syscalls), this_cpu->syscalls);
}

/* The hole that this stage leaves: ring 3 shares GS with the kernel and may load the selector, which changes the base.
 * The kernel's next look through GS then faults. Nothing here, nor in panic(), goes through GS. */
static bool gs_wrecked(struct trap_frame *frame) {
    uint64_t base = rdmsr(MSR_GS_BASE);
    if (from_user(frame) || base >= KERNEL_BASE)
        return false;
    panic_begin("GS base is 0x%lx, not the PCR: ring 3 has changed it", base);
    trap_print_registers(frame);
    panic_end(frame->rip, frame->rbp);
}

_Noreturn void kernel_main(uint32_t boot_information) {
    const struct multiboot2_info *info = phys_to_virt(boot_information);
    console_init();
    printk("ringstep, stage 02: the PCR, reached through GS\n");
    command_line_init(info, words);
    cpu_features_check();
    frame_init(info);
    paging_init(info);

    cpu_init(); /* PCR with GDT and TSS; GS base */
    idt_init(); /* 256 gates */
    idt_load();
    syscall_init(); /* int 0x80 */
    trap_handle(VECTOR_PF, gs_wrecked);
    program_init(info);
    show_pcr();

    proofs_run(); /* the words selftest and overflow */
    task_run_all();
}
