/* program.h: from the boot loader's modules to programs that can run.
 * SPDX-License-Identifier: MIT */
#pragma once
#include <kernel/kernel.h>

#define ARGUMENTS_SIZE 2800

/* Below the last pages before the non-canonical hole, which programs may map for themselves. All else that is loaded
 * lies below the stack. */
#define USER_STACK_TOP  0x00007fffffff0000
#define USER_STACK_SIZE 0x20000
#define USER_STACK_LOW  (USER_STACK_TOP - USER_STACK_SIZE)

/* The words of a module's command line. */
struct arguments {
    unsigned count;
    unsigned size;             /* of text, with the NULs */
    char text[ARGUMENTS_SIZE]; /* one behind the other, each with its NUL */
};

struct task;

/* Where the modules are found. */
void program_init(const struct multiboot2_info *info);

/* The next program in the modules' order, loaded and ready to start; NULL once after the last. A module that cannot be
 * loaded is passed over with a line that says why. */
struct task *program_next(void);

/* Splits a module's command line into words, as GRUB has quoted them. NULL, or the reason why it cannot be done. */
const char *arguments_parse(struct arguments *arguments, const char *line);

/* Puts blanks in place of the NULs, for the kernel's lines. From then on the words are not kept apart. */
void arguments_join(struct arguments *arguments);

/* elf.c: what of an ELF file tells how to load it. */
enum { ELF_PF_X = 1, ELF_PF_W = 2 };

struct elf {
    const uint8_t *file;
    uint64_t entry;
    uint64_t program_headers; /* offset in the file */
    uint16_t program_header_count;
    uint64_t headers_address; /* where the program finds them in its memory; 0 if nowhere */
    uint64_t end;             /* behind the last segment, page-aligned */
};

/* A program header as the file has it; of a segment the fields that count have been checked. */
struct elf_segment {
    uint32_t type, flags;
    uint64_t offset, address, physical, file_size, memory_size, align;
};

_Static_assert(sizeof(struct elf_segment) == 56, "System V ABI, \"Program Header\"");

/* Checks every field that loading relies on. NULL if the file can be loaded, else the reason why not. After it, each
 * segment lies within the file and within ring 3's addresses, and no two share a page. */
const char *elf_check(struct elf *elf, const void *file, uint64_t size);

/* The n-th program header as a segment; false if it is not one to load. n < program_header_count. */
bool elf_segment(const struct elf *elf, unsigned n, struct elf_segment *segment);
