/* user_state.h: the registers of a program that are not in its trap frame.
 * SPDX-License-Identifier: MIT */
#pragma once

/* Prepares them for a new program. There are none before stage 03, which turns on SSE and lets programs set the base of
 * FS, and replaces this file. */
static inline void user_state_reset(void) {}
