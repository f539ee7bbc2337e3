/* paranoid_entry.S: nothing.
 * SPDX-License-Identifier: MIT */
#include <kernel/asm.h>

FUNCTION(paranoid_entry)
FUNCTION(ist_entry)
        iretq
