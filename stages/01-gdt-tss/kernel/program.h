/* program.h: from the boot loader's modules to programs that can run.
 * SPDX-License-Identifier: MIT */
#pragma once
#include <kernel/kernel.h>

#define ARGUMENTS_SIZE 2800

/* The words of a module's command line. */
struct arguments {
    unsigned count;
    unsigned size;             /* of text, with the NULs */
    char text[ARGUMENTS_SIZE]; /* one behind the other, each with its NUL */
};

struct task;

/* Where the modules are found. */
void program_init(const struct multiboot2_info *info);

/* The next program in the modules' order, loaded and ready to start; NULL after the last. A module that cannot be
 * loaded is passed over with a line that says why. */
struct task *program_next(void);

/* Splits a module's command line into words, as GRUB has quoted them. A word copies=N before the program's own is taken
 * out into *copies. NULL, or the reason why it cannot be done. */
const char *arguments_parse(struct arguments *arguments, const char *line, unsigned *copies);

/* Puts blanks in place of the NULs, for the kernel's lines. From then on the words are not kept apart. */
void arguments_join(struct arguments *arguments);
