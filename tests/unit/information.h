/* information.h: boot information as a boot loader writes it, tag by tag, for the tests of those who read it.
 * SPDX-License-Identifier: MIT */
#pragma once
#include <kernel/multiboot2.h>
#include <unit/check.h>

#define INFORMATION_SIZE 0x10000

struct information {
    struct multiboot2_info head;
    uint8_t tags[INFORMATION_SIZE - sizeof(struct multiboot2_info)];
} __attribute__((aligned(8)));

static inline void information_begin(struct information *info) {
    memset(info, 0, sizeof(*info));
    info->head.total_size = sizeof(info->head);
}

/* Adds a tag, whose size may be a lie, and pads it to 8 bytes by its true size. Returns its header. */
static inline struct multiboot2_tag *information_add(struct information *info, uint32_t type, uint32_t claimed_size,
                                                     const void *content, size_t size) {
    uint8_t *at = (uint8_t *)info + info->head.total_size;
    size_t whole = sizeof(struct multiboot2_tag) + size;
    struct multiboot2_tag header = {type, claimed_size};
    CHECK(info->head.total_size + whole + 8 <= sizeof(*info));
    memcpy(at, &header, sizeof(header));
    if (size)
        memcpy(at + sizeof(header), content, size);
    info->head.total_size += (uint32_t)((whole + 7) & ~7ul);
    return (struct multiboot2_tag *)at;
}

static inline struct multiboot2_tag *information_add_true(struct information *info, uint32_t type, const void *content,
                                                          size_t size) {
    return information_add(info, type, (uint32_t)(sizeof(struct multiboot2_tag) + size), content, size);
}

/* A command line, with its NUL. */
static inline void information_add_line(struct information *info, const char *line) {
    information_add_true(info, MULTIBOOT2_COMMAND_LINE, line, strlen(line) + 1);
}

static inline void information_add_module(struct information *info, uint32_t start, uint32_t end, const char *line) {
    uint8_t content[256];
    CHECK(strlen(line) < sizeof(content) - 8);
    memcpy(content, &start, 4);
    memcpy(content + 4, &end, 4);
    memcpy(content + 8, line, strlen(line) + 1);
    information_add_true(info, MULTIBOOT2_MODULE, content, 8 + strlen(line) + 1);
}

static inline void information_add_memory(struct information *info, const struct multiboot2_memory *entries,
                                          unsigned count, uint32_t entry_size) {
    static uint8_t content[INFORMATION_SIZE];
    size_t size = 8 + (size_t)count * entry_size;
    CHECK(size <= sizeof(content) && entry_size >= sizeof(*entries));
    memset(content, 0xee, sizeof(content));
    memcpy(content, &entry_size, 4);
    for (unsigned n = 0; n < count; n++)
        memcpy(content + 8 + (size_t)n * entry_size, &entries[n], sizeof(*entries));
    information_add_true(info, MULTIBOOT2_MEMORY_MAP, content, size);
}

static inline void information_end(struct information *info) { information_add_true(info, MULTIBOOT2_END, NULL, 0); }
