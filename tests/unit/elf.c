/* elf.c: the ELF loader's checks: each reason to refuse a file, and that no file makes it read outside the file.
 * SPDX-License-Identifier: MIT */
#include <unit/check.h>
#include <kernel/elf.c>

#define ELF_PF_R 4 /* the kernel does not look at it: what is there can be read */

#define SEGMENTS  3
#define FILE_SIZE 0x1000

/* A good file: headers, then text, read-only data, data with a bss. */
struct image {
    struct elf_header header;
    struct elf_segment segments[SEGMENTS];
    uint8_t content[FILE_SIZE - sizeof(struct elf_header) - SEGMENTS * sizeof(struct elf_segment)];
};

static struct image good(void) {
    struct image image = {
        .header = {.ident = {0x7f, 'E', 'L', 'F', 2, 1, 1},
                   .type = ET_EXEC,
                   .machine = EM_X86_64,
                   .version = 1,
                   .entry = 0x401000,
                   .phoff = sizeof(struct elf_header),
                   .ehsize = sizeof(struct elf_header),
                   .phentsize = sizeof(struct elf_segment),
                   .phnum = SEGMENTS},
        .segments = {{PT_LOAD, ELF_PF_R, 0, 0x400000, 0x400000, 0x200, 0x200, PAGE_SIZE},
                     {PT_LOAD, ELF_PF_R | ELF_PF_X, 0x200, 0x401200, 0x401200, 0x800, 0x800, PAGE_SIZE},
                     {PT_LOAD, ELF_PF_R | ELF_PF_W, 0xa00, 0x402a00, 0x402a00, 0x600, 0x3000, PAGE_SIZE}},
    };
    for (size_t i = 0; i < sizeof(image.content); i++)
        image.content[i] = (uint8_t)i;
    return image;
}

/* What loading relies on, looked at with other eyes than elf_check()'s. */
static void check_promise(const struct elf *elf, uint64_t size) {
    static struct elf_segment others[0x10000];
    struct elf_segment s;
    unsigned count = 0;
    CHECK(elf->entry < USER_TOP);
    CHECK(elf->program_header_count > 0);
    for (unsigned n = 0; n < elf->program_header_count; n++) {
        if (!elf_segment(elf, n, &s))
            continue;
        CHECK(s.memory_size > 0 && s.file_size <= s.memory_size);
        CHECK((__uint128_t)s.offset + s.file_size <= size);
        CHECK(s.address >= PAGE_SIZE && (__uint128_t)s.address + s.memory_size <= USER_STACK_LOW);
        for (unsigned other = 0; other < count; other++) {
            const struct elf_segment *o = &others[other];
            CHECK(s.address / PAGE_SIZE > (o->address + o->memory_size - 1) / PAGE_SIZE ||
                  o->address / PAGE_SIZE > (s.address + s.memory_size - 1) / PAGE_SIZE);
        }
        CHECK(elf->end >= s.address + s.memory_size && elf->end % PAGE_SIZE == 0);
        others[count++] = s;
        for (uint64_t i = 0; i < s.file_size; i++) /* the sanitizer watches */
            (void)*(volatile const uint8_t *)&elf->file[s.offset + i];
    }
    CHECK(count > 0);
}

/* Checks a file of the given size, and what is promised if it is taken. */
static const char *verdict(const void *bytes, uint64_t size) {
    struct elf elf;
    void *file = exact_copy(bytes, size);
    const char *error = elf_check(&elf, file, size);
    if (!error)
        check_promise(&elf, size);
    free_copy(file, size);
    return error;
}

static void test_good(void) {
    struct image image = good();
    struct elf elf;
    struct elf_segment s;
    CHECK_TEXT(elf_check(&elf, &image, sizeof(image)), NULL);
    CHECK_EQUAL(elf.entry, 0x401000);
    CHECK_EQUAL(elf.program_header_count, SEGMENTS);
    CHECK_EQUAL(elf.headers_address, 0x400000 + sizeof(struct elf_header));
    /* mutant kernel/elf.c: page_align_up(s.address + s.memory_size) => page_align_up(s.address + s.file_size) */
    CHECK_EQUAL(elf.end, 0x406000);
    CHECK(elf_segment(&elf, 2, &s));
    CHECK_EQUAL(s.address, 0x402a00);
    CHECK_EQUAL(s.memory_size, 0x3000);
    CHECK_EQUAL(s.offset, 0xa00);
    CHECK_EQUAL(s.file_size, 0x600);
    CHECK_EQUAL(s.flags, ELF_PF_R | ELF_PF_W);
    check_promise(&elf, sizeof(image));
}

/* Headers that lie in no segment, and those that are not to be loaded. */
static void test_good_variants(void) {
    struct image image = good();
    struct elf elf;
    struct elf_segment s;
    image.segments[0].type = 0x6474e551; /* PT_GNU_STACK */
    CHECK_TEXT(elf_check(&elf, &image, sizeof(image)), NULL);
    CHECK_EQUAL(elf.headers_address, 0);
    CHECK(!elf_segment(&elf, 0, &s));

    image = good();
    image.segments[1].file_size = image.segments[1].memory_size = 0;
    image.segments[1].address = USER_TOP + 5; /* of no importance, since nothing is loaded there */
    CHECK_TEXT(elf_check(&elf, &image, sizeof(image)), NULL);
    CHECK(!elf_segment(&elf, 1, &s));

    image = good();
    image.segments[2].address = USER_STACK_LOW - 0x3000; /* up to the last byte */
    CHECK_TEXT(verdict(&image, sizeof(image)), NULL);
    CHECK_TEXT(elf_check(&elf, &image, sizeof(image)), NULL);
    CHECK_EQUAL(elf.end, USER_STACK_LOW);
}

#define REFUSED(change, reason)                                                                                        \
    do {                                                                                                               \
        struct image image = good();                                                                                   \
        change;                                                                                                        \
        CHECK_TEXT(verdict(&image, sizeof(image)), reason);                                                            \
    } while (0)

static void test_refused_headers(void) {
    for (unsigned i = 0; i < 4; i++)
        REFUSED(image.header.ident[i] ^= 1, "not an ELF file");
    /* mutant kernel/elf.c: || h->ident[5] != 1 => */
    REFUSED(image.header.ident[4] = 1, "not for 64-bit x86");
    REFUSED(image.header.ident[5] = 2, "not for 64-bit x86");
    REFUSED(image.header.machine = 183, "not for 64-bit x86");
    const char *dynamic = "not a static executable; link it with -static -no-pie";
    REFUSED(image.header.type = 3, dynamic); /* ET_DYN */
    REFUSED(image.header.type = 1, dynamic); /* ET_REL */
    const char *outside = "its program headers are of another kind, or lie outside the file";
    /* mutant kernel/elf.c: h->phentsize != sizeof(struct elf_segment) || => */
    REFUSED(image.header.phentsize = 55, outside);
    REFUSED(image.header.phentsize = 57, outside);
    REFUSED(image.header.phentsize = 0, outside);
    /* mutant kernel/elf.c: h->phoff > size || => */
    /* mutant kernel/elf.c: > size - h->phoff) => > size) */
    REFUSED(image.header.phoff = FILE_SIZE + 1, outside);
    REFUSED(image.header.phoff = FILE_SIZE - SEGMENTS * sizeof(struct elf_segment) + 1, outside);
    REFUSED(image.header.phoff = UINT64_MAX - 10, outside);
    REFUSED(image.header.phnum = 0xffff, outside);
    const char *entry = "its entry point lies outside user space";
    REFUSED(image.header.entry = USER_TOP, entry);
    REFUSED(image.header.entry = UINT64_MAX, entry);
}

static void test_refused_segments(void) {
    const char *larger = "a segment is larger in the file than in memory";
    REFUSED(image.segments[1].file_size = 0x801, larger);
    const char *outside = "a segment lies outside the file; is it truncated?";
    /* mutant kernel/elf.c: s->offset > size || => */
    REFUSED(image.segments[2].offset = FILE_SIZE + 1, outside);
    REFUSED(image.segments[2].offset = 0xa01, outside);
    REFUSED(image.segments[2].offset = UINT64_MAX - 0x5ff, outside); /* offset + size wraps to 0 */
    const char *elsewhere = "a segment lies outside user space, or where the stack belongs";
    REFUSED(image.segments[0].address = 0, elsewhere);
    REFUSED(image.segments[0].address = PAGE_SIZE - 1, elsewhere);
    REFUSED(image.segments[2].address = USER_STACK_LOW - 0x2fff, elsewhere);
    REFUSED(image.segments[2].address = USER_STACK_LOW, elsewhere);
    REFUSED(image.segments[2].address = USER_TOP, elsewhere);
    REFUSED(image.segments[2].address = 0xffffffff80100000, elsewhere);
    /* mutant kernel/elf.c: s->memory_size > USER_STACK_LOW - s->address => s->address + s->memory_size > USER_STACK_LOW */
    REFUSED(image.segments[2].memory_size = UINT64_MAX - 0x402a00 + 2, elsewhere); /* address + size wraps to 1 */
    const char *overlap = "its segments overlap, share a page, or are out of order";
    REFUSED(image.segments[1].address = 0x400200, overlap); /* not a byte in common, but a page */
    /* mutant kernel/elf.c: s->address < previous_end => s->address + PAGE_SIZE <= previous_end */
    REFUSED(image.segments[1].address = 0x400fff, overlap);
    REFUSED(image.segments[2].address = 0x3f0000, overlap);
    REFUSED(image.segments[1].address = 0x402a00, overlap);
    /* mutant kernel/elf.c: !error && !elf->end => 0 */
    REFUSED(image.header.phnum = 0, "it has no segment to load");
    REFUSED(image.segments[1].type = PT_INTERP, "it is linked dynamically; link it with -static");
    REFUSED(for (unsigned n = 0; n < SEGMENTS; n++) image.segments[n].type = 0, "it has no segment to load");
    REFUSED(for (unsigned n = 0; n < SEGMENTS; n++) image.segments[n].memory_size = image.segments[n].file_size = 0,
            "it has no segment to load");
}

/* Every shorter file lacks something that the headers speak of. */
static void test_truncated(void) {
    struct image image = good();
    for (uint64_t size = 0; size < sizeof(image); size++) {
        const char *error = verdict(&image, size);
        CHECK(error);
        /* mutant kernel/elf.c: size < sizeof(*h) || => */
        if (size < sizeof(struct elf_header))
            CHECK_TEXT(error, "not an ELF file");
    }
    CHECK_TEXT(verdict(&image, sizeof(image)), NULL);
}

/* Every byte of the headers with other values: taken or refused, but the promise is kept. */
static void test_mutated(void) {
    for (size_t at = 0; at < offsetof(struct image, content); at++) {
        for (unsigned change = 1; change < 256; change++) {
            struct image image = good();
            ((uint8_t *)&image)[at] ^= (uint8_t)change;
            verdict(&image, sizeof(image));
        }
    }
    static const uint64_t edges[] = {0,         1,        PAGE_SIZE - 1, PAGE_SIZE,          FILE_SIZE - 1,
                                     FILE_SIZE, USER_TOP, USER_STACK_LOW,  0x7fffffffffffffff, UINT64_MAX,
                                     0x400000,  0x402000};
    for (unsigned round = 0; round < 20000; round++) {
        struct image image = good();
        for (uint64_t changes = 1 + any_below(4); changes; changes--) {
            struct elf_segment *p = &image.segments[any_below(SEGMENTS)];
            uint64_t *fields[] = {&p->offset, &p->address, &p->file_size, &p->memory_size, &image.header.phoff};
            uint64_t value = any_below(2) ? edges[any_below(sizeof(edges) / sizeof(edges[0]))] : any_below(FILE_SIZE);
            *fields[any_below(5)] = value;
        }
        verdict(&image, sizeof(image));
    }
}

int main(void) {
    test_good();
    test_good_variants();
    test_refused_headers();
    test_refused_segments();
    test_truncated();
    test_mutated();
    return 0;
}
