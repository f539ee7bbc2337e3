/* multiboot2.h: what the boot loader tells: a list of tags. Every length in it is checked, none is believed.
 * SPDX-License-Identifier: MIT
 *
 * Source: Multiboot2 Specification, "Boot information format". */
#pragma once
#include <kernel/x86.h>

/* Types of tags. */
enum { MULTIBOOT2_END = 0, MULTIBOOT2_COMMAND_LINE = 1, MULTIBOOT2_MODULE = 3, MULTIBOOT2_MEMORY_MAP = 6 };
enum { MULTIBOOT2_RSDP_OLD = 14, MULTIBOOT2_RSDP_NEW = 15 };

struct multiboot2_info {
    uint32_t total_size, reserved;
};

struct multiboot2_tag {
    uint32_t type;
    uint32_t size; /* with this header, without the padding to 8 bytes */
};

struct multiboot2_module {
    struct multiboot2_tag tag;
    uint32_t start, end; /* physical; end is the first byte behind it */
    char string[];
};

struct multiboot2_memory_map {
    struct multiboot2_tag tag;
    uint32_t entry_size, entry_version;
};

#define MEMORY_AVAILABLE 1

struct multiboot2_memory {
    uint64_t base, length;
    uint32_t type, reserved;
};

/* The tag of the given type after `previous`, or the first one if that is NULL; NULL when there is none. What it
 * returns lies wholly within the information and is at least as long as the structure of its type. */
const void *multiboot2_find(const struct multiboot2_info *info, uint32_t type, const void *previous);

/* The n-th entry of the memory map as it counts: clipped to the addresses that the direct window can show; one that is
 * out of reach or wraps has no length. False when there is no such entry. */
bool multiboot2_memory(const struct multiboot2_info *info, unsigned n, struct multiboot2_memory *memory);

/* The string of a tag that ends in one, or "" if it has no end within the tag. */
const char *multiboot2_string(const struct multiboot2_tag *tag, const char *string);
