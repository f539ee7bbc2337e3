/* console.h: COM1, and the VGA text screen where there is one.
 * SPDX-License-Identifier: MIT */
#pragma once
#include <kernel/lock.h>
#include <kernel/multiboot2.h>
#include <stddef.h>

/* Held for a whole line of the kernel or one write() of a program, so that no line is torn by another CPU. */
extern struct lock console_lock;

/* Sets up COM1. Works before anything else does. */
void console_init(void);

/* Adds the text screen if the boot loader left one (not under UEFI). Its memory must be mapped in the direct window. */
void console_add_screen(const struct multiboot2_info *info);

/* Writes to both; the caller holds console_lock. */
void console_put(char c);
void console_write(const char *text, size_t size);

/* Ends a line that a program has left unfinished. The caller holds console_lock. */
void console_fresh_line(void);
