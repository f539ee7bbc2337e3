/* elf.c: reads static ELF64 executables. Called by program.c; touches nothing but the file, so tests run it anywhere.
 * SPDX-License-Identifier: MIT
 *
 * Source: System V ABI, "Object Files", and its AMD64 supplement. */
#include <kernel/program.h>

enum { ET_EXEC = 2, EM_X86_64 = 62, PT_LOAD = 1, PT_INTERP = 3 };

struct elf_header {
    uint8_t ident[16]; /* 0x7f E L F, class, byte order, version */
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, phoff, shoff;
    uint32_t flags;
    uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

bool elf_segment(const struct elf *elf, unsigned n, struct elf_segment *segment) {
    /* A copy: the file need not be aligned. */
    memcpy(segment, elf->file + elf->program_headers + n * sizeof(*segment), sizeof(*segment));
    return segment->type == PT_LOAD && segment->memory_size;
}

static const char *check_header(const struct elf_header *h, uint64_t size) {
    if (size < sizeof(*h) || memcmp(h->ident, "\177ELF", 4))
        return "not an ELF file";
    if (h->ident[4] != 2 || h->ident[5] != 1 || h->machine != EM_X86_64)
        return "not for 64-bit x86";
    if (h->type != ET_EXEC)
        return "not a static executable; link it with -static -no-pie";
    if (h->phentsize != sizeof(struct elf_segment) || h->phoff > size ||
        h->phnum * sizeof(struct elf_segment) > size - h->phoff)
        return "its program headers are of another kind, or lie outside the file";
    if (h->entry >= USER_TOP)
        return "its entry point lies outside user space";
    return NULL;
}

static const char *check_segment(const struct elf_segment *s, uint64_t size, uint64_t previous_end) {
    if (s->file_size > s->memory_size)
        return "a segment is larger in the file than in memory";
    if (s->offset > size || s->file_size > size - s->offset)
        return "a segment lies outside the file; is it truncated?";
    if (s->address < PAGE_SIZE || s->address >= USER_STACK_LOW || s->memory_size > USER_STACK_LOW - s->address)
        return "a segment lies outside user space, or where the stack belongs";
    if (s->address < previous_end)
        return "its segments overlap, share a page, or are out of order";
    return NULL;
}

const char *elf_check(struct elf *elf, const void *file, uint64_t size) {
    struct elf_header header = {0};
    memcpy(&header, file, size < sizeof(header) ? size : sizeof(header));
    const char *error = check_header(&header, size);
    *elf = (struct elf){
        .file = file, .entry = header.entry, .program_headers = header.phoff, .program_header_count = header.phnum};
    for (unsigned n = 0; !error && n < header.phnum; n++) {
        struct elf_segment s;
        bool loaded = elf_segment(elf, n, &s);
        if (s.type == PT_INTERP)
            return "it is linked dynamically; link it with -static";
        if (!loaded)
            continue;
        error = check_segment(&s, size, elf->end);
        elf->end = page_align_up(s.address + s.memory_size);
        if (header.phoff >= s.offset && header.phoff < s.offset + s.file_size)
            elf->headers_address = s.address + (header.phoff - s.offset);
    }
    if (!error && !elf->end)
        error = "it has no segment to load";
    return error;
}
