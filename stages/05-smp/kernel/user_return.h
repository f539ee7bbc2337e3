/* user_return.h: the last thing that C does before a program goes on.
 * SPDX-License-Identifier: MIT */
#pragma once
#include <kernel/trap_frame.h>

/* For each frame that leads to ring 3, with interrupts off until the program runs. It may end the task. */
void user_return(struct trap_frame *frame);

/* Sets the handlers for an IRETQ to ring 3 that faults. Once. */
void user_return_init(void);
