/* multiboot2.c: the walk through the boot information, well made and ill made: it ends, and never leaves it.
 * SPDX-License-Identifier: MIT */
#include <unit/information.h>
#include <kernel/multiboot2.c>

static struct information info;

/* Uses everything that the kernel uses of a copy after which no byte may be read. Returns how many tags it found. */
static unsigned walk(const void *bytes, uint32_t size) {
    static const uint32_t types[] = {MULTIBOOT2_COMMAND_LINE, MULTIBOOT2_MODULE,   MULTIBOOT2_MEMORY_MAP,
                                     MULTIBOOT2_RSDP_OLD,     MULTIBOOT2_RSDP_NEW, 12};
    struct multiboot2_info *copy = exact_copy(bytes, size);
    struct multiboot2_memory memory;
    unsigned found = 0;
    for (unsigned t = 0; t < sizeof(types) / sizeof(types[0]); t++) {
        const struct multiboot2_tag *tag = NULL;
        while ((tag = multiboot2_find(copy, types[t], tag))) {
            found++;
            CHECK(tag->type == types[t] && tag->size >= least_size[types[t]]);
            for (uint32_t i = 0; i < tag->size; i++) /* the sanitizer watches */
                (void)((const volatile uint8_t *)tag)[i];
            if (tag->type == MULTIBOOT2_COMMAND_LINE)
                (void)strlen(multiboot2_string(tag, (const char *)(tag + 1)));
            if (tag->type == MULTIBOOT2_MODULE)
                (void)strlen(multiboot2_string(tag, ((const struct multiboot2_module *)tag)->string));
        }
    }
    for (unsigned n = 0; multiboot2_memory(copy, n, &memory); n++)
        CHECK(memory.base <= DIRECT_SIZE && memory.length <= DIRECT_SIZE - memory.base);
    free_copy(copy, size);
    return found;
}

static const struct multiboot2_memory ram = {0x100000, 0x7f00000, MEMORY_AVAILABLE, 0};

static void make_good(void) {
    information_begin(&info);
    information_add_line(&info, "selftest poweroff"); /* 26 bytes: the next tag begins behind 6 bytes of padding */
    information_add_true(&info, 2, "GRUB", 5);
    information_add_module(&info, 0x200000, 0x201000, "one");
    information_add_memory(&info, &ram, 1, sizeof(ram));
    information_add_module(&info, 0x300000, 0x302000, "second one");
    information_end(&info);
}

static void test_good(void) {
    make_good();
    const struct multiboot2_tag *line = multiboot2_find(&info.head, MULTIBOOT2_COMMAND_LINE, NULL);
    CHECK(line);
    CHECK_TEXT(multiboot2_string(line, (const char *)(line + 1)), "selftest poweroff");
    const struct multiboot2_module *one = multiboot2_find(&info.head, MULTIBOOT2_MODULE, NULL);
    /* mutant kernel/multiboot2.c: passed = passed || tag == previous; => passed = true; */
    const struct multiboot2_module *two = multiboot2_find(&info.head, MULTIBOOT2_MODULE, one);
    CHECK(one && two && one != two);
    CHECK_EQUAL(one->start, 0x200000);
    CHECK_EQUAL(one->end, 0x201000);
    CHECK_TEXT(multiboot2_string(&one->tag, one->string), "one");
    CHECK_TEXT(multiboot2_string(&two->tag, two->string), "second one");
    CHECK(!multiboot2_find(&info.head, MULTIBOOT2_MODULE, two));
    CHECK(!multiboot2_find(&info.head, MULTIBOOT2_RSDP_OLD, NULL));
    CHECK_EQUAL(walk(&info, info.head.total_size), 4);
}

/* No end tag, or something behind it. */
static void test_end(void) {
    information_begin(&info);
    CHECK_EQUAL(walk(&info, info.head.total_size), 0);
    information_add_line(&info, "x");
    CHECK_EQUAL(walk(&info, info.head.total_size), 1);
    information_end(&info);
    information_add_line(&info, "behind the end");
    /* mutant kernel/multiboot2.c: tag->type == MULTIBOOT2_END || => */
    CHECK_EQUAL(walk(&info, info.head.total_size), 1);
    for (uint32_t total = 0; total < 8; total++) { /* shorter than its own header */
        info.head.total_size = total;
        CHECK_EQUAL(walk(&info, sizeof(info.head)), 0);
    }
}

/* A tag behind one of a wrong size is not found, wherever that size would lead. */
static void test_sizes(void) {
    static const uint32_t wrong[] = {0, 1, 7, 1000, 0x7fffffff, 0xfffffff0, 0xfffffff8, 0xfffffff9, 0xffffffff};
    for (unsigned w = 0; w < sizeof(wrong) / sizeof(wrong[0]); w++) {
        information_begin(&info);
        information_add_line(&info, "first");
        information_add(&info, 12, wrong[w], "b\0\0\0\x08\0\0\0", 8); /* looks like a tag of its own */
        information_add_line(&info, "second");
        /* mutant kernel/multiboot2.c: tag->size < sizeof(*tag) || => !tag->size || */
        /* mutant kernel/multiboot2.c: || tag->size > info->total_size - offset => */
        CHECK_EQUAL(walk(&info, info.head.total_size), 1);
    }
    /* The last tag ends with the information, but for its padding. */
    for (uint32_t size = 8; size <= 24; size++) {
        information_begin(&info);
        information_add(&info, 12, size, "0123456789abcdef", 16);
        info.head.total_size = 8 + size;
        CHECK_EQUAL(walk(&info, info.head.total_size), 1);
        info.head.total_size--;
        CHECK_EQUAL(walk(&info, info.head.total_size), 0);
    }
}

/* A tag shorter than its structure counts as absent, and the next one of its type is found. */
static void test_short_structures(void) {
    static const struct {
        uint32_t type;
        uint32_t least;
    } structures[] = {{MULTIBOOT2_COMMAND_LINE, 8}, {MULTIBOOT2_MODULE, 16}, {MULTIBOOT2_MEMORY_MAP, 16}};
    static const uint8_t content[64];
    for (unsigned s = 0; s < sizeof(structures) / sizeof(structures[0]); s++) {
        for (uint32_t size = 8; size < 40; size++) {
            information_begin(&info);
            information_add_true(&info, structures[s].type, content, size - 8);
            const void *wanted = information_add_true(&info, structures[s].type, content, 56);
            const void *found = multiboot2_find(&info.head, structures[s].type, NULL);
            /* mutant kernel/multiboot2.c: && tag->size >= least_size[type] => */
            CHECK((found == wanted) == (size < structures[s].least));
            CHECK(found);
        }
    }
}

static void test_strings(void) {
    information_begin(&info);
    information_add_true(&info, MULTIBOOT2_COMMAND_LINE, "no end", 6);
    const struct multiboot2_tag *line = multiboot2_find(&info.head, MULTIBOOT2_COMMAND_LINE, NULL);
    /* mutant kernel/multiboot2.c: return ""; => return string; */
    CHECK_TEXT(multiboot2_string(line, (const char *)(line + 1)), "");
    information_begin(&info);
    information_add_true(&info, MULTIBOOT2_COMMAND_LINE, "", 0); /* not even a NUL */
    line = multiboot2_find(&info.head, MULTIBOOT2_COMMAND_LINE, NULL);
    CHECK_TEXT(multiboot2_string(line, (const char *)(line + 1)), "");
    information_begin(&info);
    information_add_true(&info, MULTIBOOT2_COMMAND_LINE, "two\0strings", 12);
    line = multiboot2_find(&info.head, MULTIBOOT2_COMMAND_LINE, NULL);
    CHECK_TEXT(multiboot2_string(line, (const char *)(line + 1)), "two");
}

/* Future boot loaders may write longer entries; shorter ones are none. */
static void test_entry_size(void) {
    struct multiboot2_memory entries[3] = {{0, 0x9f000, 1, 0}, {0x9f000, 0x1000, 2, 0}, {0x100000, 0x700000, 1, 0}}, m;
    for (uint32_t entry_size = 24; entry_size <= 48; entry_size += 8) {
        information_begin(&info);
        information_add_memory(&info, entries, 3, entry_size);
        for (unsigned n = 0; n < 3; n++) {
            /* mutant kernel/multiboot2.c: (uint64_t)n * map->entry_size => (uint64_t)n * sizeof(*memory) */
            CHECK(multiboot2_memory(&info.head, n, &m));
            CHECK(m.base == entries[n].base && m.length == entries[n].length && m.type == entries[n].type);
        }
        CHECK(!multiboot2_memory(&info.head, 3, &m));
        CHECK(!multiboot2_memory(&info.head, UINT32_MAX, &m));
    }
    static const uint32_t wrong[] = {0, 1, 8, 23, 0x80000000, 0xffffffff};
    for (unsigned w = 0; w < sizeof(wrong) / sizeof(wrong[0]); w++) {
        information_begin(&info);
        information_add_memory(&info, entries, 3, 24);
        struct multiboot2_memory_map *map = (void *)multiboot2_find(&info.head, MULTIBOOT2_MEMORY_MAP, NULL);
        map->entry_size = wrong[w];
        /* mutant kernel/multiboot2.c: !map || map->entry_size < sizeof(*memory) => !map || !map->entry_size */
        CHECK(!multiboot2_memory(&info.head, 0, &m));
        walk(&info, info.head.total_size);
    }
    /* Half an entry at the end does not count. */
    information_begin(&info);
    struct multiboot2_tag *tag = information_add_true(&info, MULTIBOOT2_MEMORY_MAP, NULL, 0);
    memcpy(tag, &(struct multiboot2_memory_map){{MULTIBOOT2_MEMORY_MAP, 16 + 24 + 12}, 24, 0}, 16);
    memcpy((uint8_t *)tag + 16, entries, 48);
    info.head.total_size = 8 + 16 + 24 + 16;
    CHECK(multiboot2_memory(&info.head, 0, &m));
    CHECK(!multiboot2_memory(&info.head, 1, &m));
}

/* An entry size that is no multiple of 8 leaves the later entries unaligned, which C does not allow to read as they
 * are. */
static void test_unaligned_entries(void) {
    struct multiboot2_memory entries[2] = {{0, 0x9f000, 1, 0}, {0x100000, 0x700000, 1, 0}}, m;
    information_begin(&info);
    information_add_memory(&info, entries, 2, 25);
    if (multiboot2_memory(&info.head, 1, &m))
        CHECK_EQUAL(m.base, 0x100000);
}

/* What the direct window cannot show is cut off. */
static void test_clipping(void) {
    static const uint64_t edges[] = {
        0, 1, 0x1000, DIRECT_SIZE - 1, DIRECT_SIZE, DIRECT_SIZE + 1, 1ul << 52, UINT64_MAX - 0xfff, UINT64_MAX};
    const unsigned count = sizeof(edges) / sizeof(edges[0]);
    for (unsigned b = 0; b < count; b++) {
        for (unsigned l = 0; l < count; l++) {
            struct multiboot2_memory entry = {edges[b], edges[l], 1, 0}, m;
            information_begin(&info);
            information_add_memory(&info, &entry, 1, 24);
            CHECK(multiboot2_memory(&info.head, 0, &m));
            __uint128_t end = (__uint128_t)entry.base + entry.length;
            /* mutant kernel/multiboot2.c: memory->length > DIRECT_SIZE - memory->base => 0 */
            /* mutant kernel/multiboot2.c: memory->base > DIRECT_SIZE || => */
            /* mutant kernel/multiboot2.c: || memory->base + memory->length < memory->base => */
            if (entry.base > DIRECT_SIZE || end >> 64) {
                CHECK_EQUAL(m.base, 0);
                CHECK_EQUAL(m.length, 0);
            } else {
                CHECK_EQUAL(m.base, entry.base);
                CHECK_EQUAL(m.base + m.length, end < DIRECT_SIZE ? (uint64_t)end : DIRECT_SIZE);
            }
        }
    }
}

/* Any byte of good information changed, and good information cut off anywhere. */
static void test_mutated(void) {
    make_good();
    uint32_t size = info.head.total_size;
    for (uint32_t cut = sizeof(info.head); cut <= size; cut++) {
        make_good();
        info.head.total_size = cut;
        walk(&info, cut);
    }
    for (uint32_t at = sizeof(info.head); at < size; at++) {
        for (unsigned change = 1; change < 256; change++) {
            make_good();
            ((uint8_t *)&info)[at] ^= (uint8_t)change;
            struct multiboot2_memory_map *map = (void *)multiboot2_find(&info.head, MULTIBOOT2_MEMORY_MAP, NULL);
            if (map)
                map->entry_size &= ~7u; /* test_unaligned_entries() has the rest */
            walk(&info, size);
        }
    }
}

int main(void) {
    test_good();
    test_end();
    test_sizes();
    test_short_structures();
    test_strings();
    test_entry_size();
    test_clipping();
    test_mutated();
    test_unaligned_entries();
    return 0;
}
