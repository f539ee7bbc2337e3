/* paranoid.h: NMI, #DB in ring 0, #DF and #MC, which can strike anywhere.
 * SPDX-License-Identifier: MIT */
#pragma once

/* Prepares this CPU's IST stacks for paranoid_entry. After pcr_init(), before anything can strike. */
void paranoid_init(void);
