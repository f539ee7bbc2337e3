/* smap.h: the switch of supervisor-mode access prevention: while AC is clear, ring 0 cannot touch a program's pages.
 * SPDX-License-Identifier: MIT
 *
 * STAC and CLAC are #UD on a CPU without SMAP, so each is passed over there. (Larger kernels write them into their text
 * when they start, which saves the test.) A CPU that guesses the jump wrong passes CLAC over only as far as speculation
 * goes. */
#pragma once
/* clang-format off */

/* Changes RFLAGS, and nothing else. `smap` is protect.c's. */
.macro IF_SMAP instruction
    cmp     byte ptr [smap], 0
    je      770f
    \instruction
770:
.endm

#define CLAC IF_SMAP clac
#define STAC IF_SMAP stac
