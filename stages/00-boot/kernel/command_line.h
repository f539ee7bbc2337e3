/* command_line.h: the words after the kernel's name in the boot loader's menu.
 * SPDX-License-Identifier: MIT */
#pragma once
#include <kernel/multiboot2.h>
#include <stdbool.h>

/* Remembers the line, and warns of each word that is not in the list, which ends in NULL. */
void command_line_init(const struct multiboot2_info *info, const char *const *known);

bool command_line_has(const char *word);
