/* flag_threads.h: two threads of the kernel that watch over RFLAGS.
 * SPDX-License-Identifier: MIT */
#pragma once

/* Starts them. */
void flag_threads_start(void);
