/* multiboot2.c: the walk through the boot information. Used by main.c, command_line.c, frame.c, paging.c,
 * program.c and acpi.c.
 * SPDX-License-Identifier: MIT */
#include <kernel/kernel.h>

/* A tag that is shorter than its structure is passed over as if it were not there. (RSDPs are checked in acpi.c.) */
static const uint32_t least_size[MULTIBOOT2_RSDP_NEW + 1] = {
    [MULTIBOOT2_MODULE] = sizeof(struct multiboot2_module),
    [MULTIBOOT2_MEMORY_MAP] = sizeof(struct multiboot2_memory_map),
};

const void *multiboot2_find(const struct multiboot2_info *info, uint32_t type, const void *previous) {
    uint64_t offset = sizeof(*info);
    bool passed = !previous;
    while (offset + sizeof(struct multiboot2_tag) <= info->total_size) {
        const struct multiboot2_tag *tag = (const void *)((const char *)info + offset);
        if (tag->type == MULTIBOOT2_END || tag->size < sizeof(*tag) || tag->size > info->total_size - offset)
            break; /* behind a wrong size nothing can be found */
        if (passed && tag->type == type && tag->size >= least_size[type])
            return tag;
        passed = passed || tag == previous;
        offset += ((uint64_t)tag->size + 7) & ~7ull;
    }
    return NULL;
}

bool multiboot2_memory(const struct multiboot2_info *info, unsigned n, struct multiboot2_memory *memory) {
    const struct multiboot2_memory_map *map = multiboot2_find(info, MULTIBOOT2_MEMORY_MAP, NULL);
    if (!map || map->entry_size < sizeof(*memory) || n >= (map->tag.size - sizeof(*map)) / map->entry_size)
        return false;
    const uint8_t *entry = (const uint8_t *)(map + 1) + (uint64_t)n * map->entry_size;
    memcpy(memory, entry, sizeof(*memory)); /* entry_size need not keep it aligned */
    if (memory->base > DIRECT_SIZE || memory->base + memory->length < memory->base)
        memory->base = memory->length = 0; /* out of reach, or beyond all numbers: nothing */
    if (memory->length > DIRECT_SIZE - memory->base)
        memory->length = DIRECT_SIZE - memory->base;
    return true;
}

const char *multiboot2_string(const struct multiboot2_tag *tag, const char *string) {
    const char *end = (const char *)tag + tag->size;
    for (const char *c = string; c < end; c++)
        if (!*c)
            return string;
    return "";
}
