/* switch_behind.S: lies behind switch.S, by its name. Without its `ret` the switch would fall into the function that
 * the linker happens to put there, which may do nothing at all; so here is what nobody survives.
 * SPDX-License-Identifier: MIT */
#include <kernel/asm.h>

FUNCTION(switch_behind)
    ud2
