/* handlers.h: puts back the handler that the kernel itself has for a vector: that of #PF, by which user copies fail.
 * SPDX-License-Identifier: MIT */
#pragma once
#include <kernel/trap.h>
#include <kernel/protect.h>

static inline void restore_handler(unsigned vector) {
    trap_handle(vector, NULL);
    user_copy_init();
    paranoid_init();
}
