/* syscall_entry.S: nothing.
 * SPDX-License-Identifier: MIT */
#include <kernel/asm.h>

FUNCTION(syscall_entry)
        ret
