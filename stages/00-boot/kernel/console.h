/* console.h: COM1, and the VGA text screen where there is one.
 * SPDX-License-Identifier: MIT */
#pragma once
#include <kernel/kernel.h>
#include <kernel/lock.h>
#include <kernel/multiboot2.h>

/* Held for a whole line of the kernel or one piece of a program's write(), so that another CPU tears no line. */
extern struct lock console_lock;

/* Sets up COM1, and the screen if the boot loader left one (not under UEFI). */
void console_init(const struct multiboot2_info *info);

/* With console_lock held: writes; ends a line that a program has left unfinished. */
void console_put(char c);
void console_write(const char *text, size_t size);
void console_fresh_line(void);
