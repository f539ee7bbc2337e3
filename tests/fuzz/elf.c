/* elf.c: any bytes as an ELF file. Of one that is taken, each segment lies within the file and within ring 3's addresses,
 * and no two share a page.
 * SPDX-License-Identifier: MIT */
#include <fuzz/fuzz.h>
#include <kernel/elf.c>

static void check_segments(const struct elf *elf, uint64_t size) {
    struct elf_segment s;
    uint64_t end = 0;
    unsigned count = 0;
    for (unsigned n = 0; n < elf->program_header_count; n++) {
        if (!elf_segment(elf, n, &s))
            continue;
        count++;
        /* mutant kernel/elf.c: s->file_size > s->memory_size => 0 */
        CHECK(s.file_size <= s.memory_size);
        /* mutant kernel/elf.c: s->offset > size || => */
        /* mutant kernel/elf.c: || s->file_size > size - s->offset => */
        CHECK(s.offset <= size && s.file_size <= size - s.offset);
        look_at(elf->file + s.offset, s.file_size);
        /* mutant kernel/elf.c: || s->memory_size > USER_STACK_LOW - s->address => */
        CHECK(s.address >= PAGE_SIZE && s.memory_size <= USER_STACK_LOW && s.address <= USER_STACK_LOW - s.memory_size);
        /* mutant kernel/elf.c: if (s->address < previous_end) => if (0) */
        CHECK(page_align_down(s.address) >= end);
        end = page_align_up(s.address + s.memory_size);
    }
    CHECK(count && elf->end == end);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct elf elf;
    void *file = exact_copy(data, size);
    /* mutant kernel/elf.c: || h->phnum * sizeof(struct elf_segment) > size - h->phoff => */
    if (!elf_check(&elf, file, size)) {
        CHECK(elf.entry < USER_TOP && elf.file == file);
        check_segments(&elf, size);
        CHECK(elf.headers_address < USER_STACK_LOW);
    }
    free_copy(file, size);
    return 0;
}
