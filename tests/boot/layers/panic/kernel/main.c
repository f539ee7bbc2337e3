/* main.c: a kernel that panics, two calls deep. Used by tests/boot/test_contract.py.
 * SPDX-License-Identifier: MIT */
#include <kernel/kernel.h>

static volatile bool always = true, never;

__attribute__((noinline)) static void inner(void) {
    if (always)
        panic("on purpose, %u", 42);
}

__attribute__((noinline)) static void outer(void) {
    inner();
    never = true; /* where the call returns to */
}

_Noreturn void kernel_main(uint32_t boot_information) {
    const struct multiboot2_info *info = phys_to_virt(boot_information);
    console_init();
    frame_init(info);
    paging_init(info); /* the backtrace follows only what it finds mapped */
    printk("about to panic\n");
    outer();
    for (;;)
        ;
}
