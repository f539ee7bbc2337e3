/* multiboot2.c: any bytes as boot information. What is found lies wholly within it, in order, and each walk ends.
 * SPDX-License-Identifier: MIT */
#include <fuzz/fuzz.h>
#include <kernel/multiboot2.c>

/* Each tag of a type lies behind the one before, and its string ends within it. */
static void check_tags(const struct multiboot2_info *info, uint32_t type) {
    const uint8_t *at = (const uint8_t *)(info + 1), *end = (const uint8_t *)info + info->total_size;
    const struct multiboot2_tag *tag = NULL;
    while ((tag = multiboot2_find(info, type, tag))) {
        const uint8_t *start = (const uint8_t *)tag;
        CHECK(start >= at && (start - at) % 8 == 0 && tag->type == type);
        /* mutant kernel/multiboot2.c: || tag->size > info->total_size - offset => */
        /* mutant kernel/multiboot2.c: tag->size < sizeof(*tag) || => */
        CHECK(tag->size >= 8 && tag->size <= (uint64_t)(end - start));
        look_at(tag, tag->size);
        at = start + ((tag->size + 7ul) & ~7ul);
        /* mutant kernel/multiboot2.c: && tag->size >= least_size[type] => */
        const char *string =
            type == MULTIBOOT2_MODULE ? ((const struct multiboot2_module *)tag)->string : (const char *)(tag + 1);
        /* mutant kernel/multiboot2.c: c < end; c++ => c <= end; c++ */
        const char *found = multiboot2_string(tag, string);
        CHECK(!*found || (found == string && memchr(string, 0, (size_t)((const char *)start + tag->size - string))));
    }
}

static void check_memory(const struct multiboot2_info *info) {
    struct multiboot2_memory memory;
    unsigned n = 0;
    for (; multiboot2_memory(info, n, &memory); n++) {
        /* mutant kernel/multiboot2.c: memory->length > DIRECT_SIZE - memory->base => 0 */
        CHECK(memory.base <= DIRECT_SIZE && memory.length <= DIRECT_SIZE - memory.base);
        /* mutant kernel/multiboot2.c: map->entry_size < sizeof(*memory) => !map->entry_size */
        CHECK((n + 1ul) * sizeof(memory) <= info->total_size);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint32_t types[] = {MULTIBOOT2_COMMAND_LINE, MULTIBOOT2_MODULE, MULTIBOOT2_MEMORY_MAP,
                                     MULTIBOOT2_RSDP_OLD, MULTIBOOT2_RSDP_NEW};
    if (size < sizeof(struct multiboot2_info))
        return 0;
    struct multiboot2_info *info = exact_copy(data, size);
    if (info->total_size > size) /* the one number that the kernel must believe */
        info->total_size = (uint32_t)size;
    for (unsigned t = 0; t < sizeof(types) / sizeof(types[0]); t++)
        check_tags(info, types[t]);
    check_memory(info);
    free_copy(info, size);
    return 0;
}
