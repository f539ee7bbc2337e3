/* address_space.c: any sequence of mapping and unmapping, with memory that runs out, against a plain list of pages.
 * SPDX-License-Identifier: MIT */
#include <unit/physical.h>
#include <kernel/multiboot2.c>
#include <kernel/frame.c>
#include <kernel/paging.c>
#include <kernel/address_space.c>

static struct information info;

void fake_write_cr3(uint64_t value) {}

uint64_t panic_begin(const char *format, ...) {
    CHECK(!format);
    return 0;
}

_Noreturn void panic_end(uint64_t rip, uint64_t rbp) { abort(); }

/* The pages that the test uses: at the ends of ring 3's half and around the borders of tables of each level. */
#define PAGES 96
static const uint64_t places[] = {0x1000, 0x1f8000, 0x3fff8000, 0x7fffff8000, 0x7ffffffe8000, 0x401000};
#define PLACE_PAGES (PAGES / (sizeof(places) / sizeof(places[0])))

static uint64_t address_of(unsigned page) { return places[page / PLACE_PAGES] + page % PLACE_PAGES * PAGE_SIZE; }

/* What should be there. */
static struct {
    bool taken, mapped;
    unsigned prot;
    uint8_t first; /* byte of its content */
} model[PAGES];

static bool stale[PAGES]; /* unmapped, and not yet invalidated */

void fake_invlpg(uint64_t address) {
    for (unsigned page = 0; page < PAGES; page++)
        if (address_of(page) == address)
            stale[page] = false;
}

static struct address_space space;

/* What ring 3 finds at a page: the entry of the last level, NULL if there is none; rights at each level above. */
static const uint64_t *leaf_of(uint64_t address) {
    const uint64_t *table = phys_to_virt(space.cr3);
    for (int shift = 39; shift > 12; shift -= 9) {
        uint64_t entry = table[address >> shift & 511];
        if (!(entry & PTE_PRESENT))
            return NULL;
        CHECK((entry & (PTE_WRITE | PTE_USER)) == (PTE_WRITE | PTE_USER) && !(entry & PTE_NX));
        table = phys_to_virt(entry & PTE_ADDRESS);
    }
    return &table[address >> 12 & 511];
}

static void check_page(unsigned page) {
    uint64_t address = address_of(page);
    const uint64_t *entry = leaf_of(address);
    bool present = entry && *entry & PTE_PRESENT;
    CHECK_EQUAL(present, model[page].mapped);
    CHECK_EQUAL(user_range_free(&space, address, PAGE_SIZE), !model[page].taken);
    const uint8_t *readable = user_page(&space, address, false), *writable = user_page(&space, address, true);
    CHECK((readable != NULL) == present);
    CHECK((writable != NULL) == (present && model[page].prot & PROT_WRITE));
    if (!present)
        return;
    /* mutant kernel/address_space.c: | PTE_USER | => | */
    CHECK(*entry & PTE_USER);
    CHECK_EQUAL(*entry & PTE_WRITE, model[page].prot & PROT_WRITE ? PTE_WRITE : 0);
    /* mutant kernel/address_space.c: (prot & PROT_EXEC ? 0 : PTE_NX) => 0 */
    CHECK_EQUAL(*entry & PTE_NX, model[page].prot & PROT_EXEC ? 0 : PTE_NX);
    CHECK_EQUAL(*readable, model[page].first);
}

static void check_all(void) {
    static uint64_t frames[PAGES];
    unsigned count = 0;
    for (unsigned page = 0; page < PAGES; page++) {
        check_page(page);
        if (model[page].mapped)
            frames[count++] = *leaf_of(address_of(page)) & PTE_ADDRESS;
        /* mutant kernel/address_space.c: invlpg(address); => ; */
        CHECK(!stale[page]);
    }
    for (unsigned n = 0; n < count; n++) /* no two pages share a frame */
        for (unsigned other = 0; other < n; other++)
            CHECK(frames[n] != frames[other]);
    CHECK(!memcmp((uint64_t *)phys_to_virt(space.cr3) + 256, kernel_pml4 + 256, 256 * 8));
}

/* Neighbouring pages of one place. */
static unsigned any_pages(unsigned *count) {
    unsigned place = (unsigned)any_below(PAGES / PLACE_PAGES), first = (unsigned)any_below(PLACE_PAGES);
    *count = 1 + (unsigned)any_below(PLACE_PAGES - first);
    return place * PLACE_PAGES + first;
}

static void map_some(unsigned first, unsigned count) {
    unsigned prot = (unsigned)any_below(8);
    bool taken = false;
    for (unsigned page = first; page < first + count; page++)
        taken |= model[page].taken;
    uint64_t before = frame_count_free();
    bool done = user_map(&space, address_of(first), count * PAGE_SIZE, prot);
    /* What cannot be is refused at once, before a table is made for it. */
    /* mutant kernel/address_space.c: || !user_range_free(space, start, size)) return false; => ) return false; */
    /* mutant kernel/address_space.c: size / PAGE_SIZE > frame_count_free() || => */
    if (taken || before < count)
        CHECK(!done && frame_count_free() == before);
    else
        CHECK(done || before <= count + 6); /* the range may cross a border: twice three tables */
    if (!done)                              /* all or nothing; what is left are tables */
        CHECK(before <= frame_count_free() + 6);
    for (unsigned page = first; page < first + count && done; page++) {
        model[page].taken = true;
        model[page].mapped = prot != 0;
        model[page].prot = prot;
        model[page].first = 0;
    }
    for (unsigned page = first; page < first + count && done; page++) {
        const uint8_t *content = user_page(&space, address_of(page), false);
        for (unsigned i = 0; content && i < PAGE_SIZE; i++)
            CHECK(!content[i]); /* nothing of its last owner */
        stale[page] = false;
    }
}

static void unmap_some(unsigned first, unsigned count) {
    uint64_t before = frame_count_free(), present = 0;
    for (unsigned page = first; page < first + count; page++) {
        present += model[page].mapped;
        stale[page] = model[page].mapped;
        model[page].taken = model[page].mapped = false;
    }
    user_unmap(&space, address_of(first), count * PAGE_SIZE);
    /* mutant kernel/address_space.c: if (present) frame_free(below); => if (present && level > 1) frame_free(below); */
    uint64_t given_back = frame_count_free() - before;
    CHECK(given_back >= present && given_back <= present + 6); /* with the tables that are empty now */
}

/* Fills a piece that may cross pages, then reads it through user_page(). */
static void fill_some(unsigned first, unsigned count) {
    uint8_t data[3 * PAGE_SIZE];
    uint64_t offset = any_below(PAGE_SIZE), size = 1 + any_below(sizeof(data) - 1);
    unsigned pages = (unsigned)((offset + size + PAGE_SIZE - 1) / PAGE_SIZE);
    if (pages > count)
        return;
    for (unsigned page = first; page < first + pages; page++)
        if (!model[page].mapped)
            return;
    for (uint64_t i = 0; i < size; i++)
        data[i] = (uint8_t)any_number();
    /* mutant kernel/address_space.c: size_t left = PAGE_SIZE - address % PAGE_SIZE, => size_t left = PAGE_SIZE, */
    user_fill(&space, address_of(first) + offset, data, size);
    for (uint64_t i = 0; i < size; i++)
        CHECK_EQUAL(*(uint8_t *)user_page(&space, address_of(first) + offset + i, false), data[i]);
    for (unsigned page = first; page < first + pages; page++)
        model[page].first = *(uint8_t *)user_page(&space, address_of(page), false);
}

/* frames: of memory, beside the kernel's own. */
static void start_machine(uint64_t frames) {
    struct multiboot2_memory entry = {0x1000000, (frames + 10) * PAGE_SIZE, 1, 0};
    physical_clear();
    memset(kernel_pml4, 0, sizeof(kernel_pml4));
    physical_place_image(1, 20, 2, 5);
    information_begin(&info);
    information_add_memory(&info, &entry, 1, 24);
    information_end(&info);
    free_list = free_count = extent_count = 0;
    const struct multiboot2_info *placed = physical_place_information(0x9000, &info);
    frame_init(placed);
    paging_init(placed);
    while (frame_count_free() > frames)
        frame_alloc();
    CHECK_EQUAL(frame_count_free(), frames);
    memset(model, 0, sizeof(model));
    memset(stale, 0, sizeof(stale));
}

static void test_any_sequence(void) {
    for (unsigned round = 0; round < 150; round++) {
        uint64_t frames = 1 + any_below(120);
        start_machine(frames);
        CHECK(address_space_create(&space));
        for (unsigned step = 0; step < 80; step++) {
            unsigned count, first = any_pages(&count);
            switch (any_below(4)) {
            case 0:
            case 1:
                map_some(first, count);
                break;
            case 2:
                unmap_some(first, count);
                break;
            case 3:
                fill_some(first, count);
            }
            check_all();
        }
        /* No table stays for what is not there any more. */
        user_unmap(&space, 0, USER_TOP);
        /* mutant kernel/address_space.c: return used == 512; => return false; */
        CHECK_EQUAL(frame_count_free(), frames - 1);
        unsigned count, first = any_pages(&count);
        user_map(&space, address_of(first), count * PAGE_SIZE, PROT_READ);
        address_space_destroy(&space);
        /* mutant kernel/address_space.c: free_range(pml4(space), 4, 0, USER_TOP); => ; */
        /* mutant kernel/address_space.c: frame_free(space->cr3); => */
        CHECK_EQUAL(frame_count_free(), frames);
    }
}

static void test_no_memory(void) {
    start_machine(0);
    CHECK(!address_space_create(&space));
    CHECK_EQUAL(frame_count_free(), 0);
}

static void test_ranges(void) {
    start_machine(100);
    CHECK(address_space_create(&space));
    /* mutant kernel/address_space.c: .mmap_bottom = MMAP_TOP => .mmap_bottom = 0 */
    CHECK_EQUAL(space.mmap_bottom, MMAP_TOP);
    CHECK(user_range_free(&space, 0, 1ul << 32));
    CHECK(user_map(&space, 0x3fffff000, PAGE_SIZE, 0)); /* PROT_NONE: taken, and of no memory but tables */
    CHECK_EQUAL(frame_count_free(), 96);
    CHECK(!user_range_free(&space, 0x3f0000000, 1ul << 32));
    CHECK(!user_range_free(&space, 0x3ffffe000, 2 * PAGE_SIZE));
    CHECK(user_range_free(&space, 0x3ffffe000, PAGE_SIZE));
    CHECK(user_range_free(&space, 0x400000000, 1ul << 32));
    /* mutant kernel/address_space.c: *entry = PTE_TAKEN | (prot => *entry = (prot */
    CHECK(!user_map(&space, 0x3ffffe000, 2 * PAGE_SIZE, PROT_READ)); /* not over it either */
    CHECK(user_range_free(&space, 0x3ffffe000, PAGE_SIZE));
    CHECK_EQUAL(frame_count_free(), 96);
    /* mutant kernel/address_space.c: if (address >= USER_TOP) return NULL; => */
    CHECK(!user_page(&space, USER_TOP, false));
    CHECK(!user_page(&space, DIRECT_BASE, false)); /* there, but the kernel's */
    CHECK(!user_page(&space, UINT64_MAX, true));
    user_unmap(&space, 0, USER_TOP); /* all of it, and quickly */
    CHECK(user_range_free(&space, 0x3fffff000, PAGE_SIZE));
    address_space_destroy(&space);
    CHECK_EQUAL(frame_count_free(), 100);
}

int main(void) {
    test_no_memory();
    test_ranges();
    test_any_sequence();
    return 0;
}
