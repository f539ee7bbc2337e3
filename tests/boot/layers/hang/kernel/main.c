/* main.c: a kernel that writes the beginning of a line and then does nothing more. Used by tests/boot.
 * SPDX-License-Identifier: MIT */
#include <kernel/kernel.h>

_Noreturn void kernel_main(uint32_t boot_information) {
    console_init();
    printk("about to hang, in the middle of a");
    for (;;)
        hlt();
}
