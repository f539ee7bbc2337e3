/* overflow.c: a kernel that recurses for ever. Called by main.c for the word overflow on the command line.
 * SPDX-License-Identifier: MIT
 *
 * The push that meets the guard page raises #PF, whose frame has no stack to go to either: that is #DF, and its gate
 * asks for a stack from the interrupt stack table. Without one the CPU would give up and reset. */
#include <kernel/overflow.h>
#include <kernel/panic.h>

static unsigned recurse(volatile unsigned depth)
{
    return depth + 1 ? recurse(depth + 1) + 1 : 0;
}

_Noreturn void overflow_stack(void)
{
    panic("the stack took %u calls", recurse(0));
}
