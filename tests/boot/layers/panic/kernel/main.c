/* main.c: a kernel that panics, two calls deep. Used by tests/boot/test_contract.py.
 * SPDX-License-Identifier: MIT */
#include <kernel/console.h>
#include <kernel/frame.h>
#include <kernel/memory_layout.h>
#include <kernel/paging.h>
#include <kernel/panic.h>
#include <kernel/printk.h>

__attribute__((noinline)) static void inner(void)
{
    panic("on purpose, %u", 42);
}

__attribute__((noinline)) static void outer(void)
{
    inner();
}

_Noreturn void kernel_main(uint32_t boot_information)
{
    console_init();
    frame_init(phys_to_virt(boot_information));
    paging_init(phys_to_virt(boot_information)); /* the backtrace follows only what it finds mapped */
    printk("about to panic\n");
    outer();
    for (;;)
        ;
}
