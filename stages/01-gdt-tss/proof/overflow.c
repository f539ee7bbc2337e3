/* overflow.c: uses up the kernel stack, by the word overflow on the command line. Started by proof.c.
 * SPDX-License-Identifier: MIT
 *
 * The access that meets the guard page raises #PF, whose frame has no stack to go to either: that is #DF, and its gate
 * asks for a stack from the interrupt stack table. Without one the CPU would give up and reset. */
#include <proof/proof.h>

static unsigned recurse(volatile unsigned depth) { return depth + 1 ? recurse(depth + 1) + 1 : 0; }

static void overflow(void) { panic("the stack took %u calls", recurse(0)); }

PROOF("overflow", overflow);
