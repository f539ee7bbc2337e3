/* overflow.h: a mistake on purpose.
 * SPDX-License-Identifier: MIT */
#pragma once

/* Uses up the kernel stack, to show that the double fault that follows is reported and not a reset. */
_Noreturn void overflow_stack(void);
