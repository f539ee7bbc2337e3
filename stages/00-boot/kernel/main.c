/* main.c: stage 00, what is brought up, in order. Called by boot.S on the boot CPU.
 * SPDX-License-Identifier: MIT */
#include <kernel/kernel.h>
#include <proof/proof.h>

static const char *const words[] = {"selftest", "poweroff", NULL};

static void show_memory(const struct multiboot2_info *info) {
    struct multiboot2_memory memory;
    for (unsigned n = 0; multiboot2_memory(info, n, &memory); n++)
        printk("memory: %012lx-%012lx %s\n", memory.base, memory.base + memory.length,
               memory.type == MEMORY_AVAILABLE ? "available" : "reserved");
}

static void show_modules(const struct multiboot2_info *info) {
    const struct multiboot2_module *module = NULL;
    while ((module = multiboot2_find(info, MULTIBOOT2_MODULE, module)))
        printk("module: %u bytes: %s\n", module->end - module->start, multiboot2_string(&module->tag, module->string));
}

_Noreturn void kernel_main(uint32_t boot_information) {
    const struct multiboot2_info *info = phys_to_virt(boot_information);
    console_init();
    printk("ringstep, stage 00: boot\n");
    command_line_init(info, words);
    cpu_features_check();
    frame_init(info);
    paging_init(info);
    show_memory(info);
    show_modules(info);
    proofs_run(); /* the word selftest */
    printk("in 64-bit mode, at 0x%lx; nothing to run before stage 01\n", (uint64_t)kernel_main);
    if (command_line_has("poweroff"))
        machine_exit(true);
    for (;;)
        hlt();
}
