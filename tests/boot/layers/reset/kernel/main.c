/* main.c: a kernel that resets the machine, by a fault without an IDT. Used by tests/boot/test_contract.py.
 * SPDX-License-Identifier: MIT */
#include <kernel/kernel.h>

struct __attribute__((packed)) idtr {
    uint16_t limit;
    uint64_t base;
};

_Noreturn void kernel_main(uint32_t boot_information) {
    console_init();
    printk("about to reset\n");
    struct idtr none = {0, 0};
    asm volatile("lidt %0" : : "m"(none));
    asm volatile("ud2");
    for (;;)
        ;
}
