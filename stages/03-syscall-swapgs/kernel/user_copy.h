/* user_copy.h: the only way by which the kernel touches a program's memory.
 * SPDX-License-Identifier: MIT */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* False if any byte of the program's range is not the program's own to read, or to write; then part of it may have been
 * copied. Of the current task's memory. */
bool copy_from_user(void *to, uint64_t from, size_t size);
bool copy_to_user(uint64_t to, const void *from, size_t size);

/* Sets the handler of #PF. Once, before the first copy. */
void user_copy_init(void);
