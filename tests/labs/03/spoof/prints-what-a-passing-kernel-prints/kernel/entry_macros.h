/* entry_macros.h: nothing.
 * SPDX-License-Identifier: MIT */
#pragma once
/* clang-format off */
#include <kernel/trap_frame.h>

.macro ENTER_KERNEL
.endm

.macro LEAVE_KERNEL
    iretq
.endm

#define IST_ENTRY      ist_entry
#define PARANOID_ENTRY paranoid_entry
