/* handlers.h: puts back the handlers that the kernel itself has: those of the user copies and of the last IRETQ.
 * SPDX-License-Identifier: MIT */
#pragma once
#include <kernel/protect.h>
#include <kernel/smp.h>
#include <kernel/trap.h>

static inline void restore_handler(unsigned vector) {
    trap_handle(vector, NULL);
    user_copy_init();
    user_return_init();
    paranoid_init();
    ipi_init();
}
