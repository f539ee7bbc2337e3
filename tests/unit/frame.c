/* frame.c: any memory map gives exactly the frames that are free in it, each to one owner. One in more pieces than the
 * kernel has room for gives fewer.
 * SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <unit/physical.h>
#include <kernel/multiboot2.c>
#include <kernel/frame.c>

#define ENTRIES_MAX 12  /* with the modules, for which EXTENTS_MAX is plenty */
#define ENTRIES_ALL 400 /* for which it is not */
#define MODULES_MAX 4
#define FRAMES_MAX  20000

static struct multiboot2_memory entries[ENTRIES_ALL];
static unsigned entry_count;
static struct range used[MODULES_MAX + 3]; /* low memory, image, information, modules */
static unsigned used_count;
static struct information info;
static uint64_t wanted[FRAMES_MAX], got[FRAMES_MAX];
static jmp_buf panicked;

uint64_t panic_begin(const char *format, ...) {
    CHECK_TEXT(format, "the boot loader's memory map is missing, broken or empty");
    return 0;
}

_Noreturn void panic_end(uint64_t rip, uint64_t rbp) { longjmp(panicked, 1); }

/* The kernel's, which says so if there is no memory at all. */
static void init(const struct multiboot2_info *placed) {
    /* mutant kernel/frame.c: if (!free_count) => if (1) */
    /* mutant kernel/frame.c: if (!free_count) => if (0) */
    bool any = !setjmp(panicked);
    if (any)
        frame_init(placed);
    CHECK_EQUAL(frame_count_free() != 0, any);
}

/* An address near the others, so that they overlap and touch; not always aligned, not always below 4 GiB. */
static uint64_t any_address(void) {
    static const uint64_t places[] = {0x80000, 0x100000, 0x200000, 0x800000, 0xfff00000, 0x100000000, 0x7654321000};
    uint64_t address = places[any_below(7)] + any_below(0x180) * PAGE_SIZE;
    return any_below(3) ? address : address + any_below(PAGE_SIZE);
}

static uint64_t any_size(void) {
    uint64_t size = any_below(0x200) * PAGE_SIZE;
    return any_below(3) ? size : size + any_below(PAGE_SIZE);
}

static int compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Wholly in one available entry, and touched by nothing else. */
static bool is_free(uint64_t frame) {
    for (unsigned n = 0; n < used_count; n++)
        if (range_touches(used[n], frame))
            return false;
    for (unsigned n = 0; n < entry_count; n++) {
        struct range range = {entries[n].base, entries[n].base + entries[n].length};
        if (entries[n].type != MEMORY_AVAILABLE && range_touches(range, frame))
            return false;
    }
    return true;
}

/* All frames that are free, by looking at each. */
static unsigned find_wanted(void) {
    unsigned count = 0, distinct = 0;
    for (unsigned n = 0; n < entry_count; n++) {
        uint64_t end = entries[n].base + entries[n].length;
        if (entries[n].type != MEMORY_AVAILABLE)
            continue;
        for (uint64_t frame = page_align_up(entries[n].base); frame + PAGE_SIZE <= end; frame += PAGE_SIZE) {
            CHECK(count < FRAMES_MAX);
            if (is_free(frame))
                wanted[count++] = frame;
        }
    }
    qsort(wanted, count, sizeof(wanted[0]), compare);
    for (unsigned n = 0; n < count; n++)
        if (!n || wanted[n] != wanted[n - 1])
            wanted[distinct++] = wanted[n];
    return distinct;
}

static void add_used(uint64_t start, uint64_t end) { used[used_count++] = (struct range){start, end}; }

/* A machine with the entries that are set, the image, modules and the information. */
static const struct multiboot2_info *start_machine(unsigned modules, uint64_t information_at) {
    physical_clear();
    used_count = 0;
    add_used(0, 0x100000);
    add_used(0x100000, physical_place_image(1, 1 + any_below(300), 1, 5));
    information_begin(&info);
    information_add_line(&info, "selftest");
    information_add_memory(&info, entries, entry_count, 24);
    information_add_true(&info, 99, wanted, any_below(2 * PAGE_SIZE)); /* may be longer than a page */
    for (unsigned n = 0; n < modules; n++) {
        uint64_t start = any_address() & 0xffffffff, size = any_size();
        uint64_t end = start + size > 0xffffffff ? 0xffffffff : start + size;
        add_used(start, end);
        information_add_module(&info, (uint32_t)start, (uint32_t)end, "module");
    }
    information_end(&info);
    add_used(information_at, information_at + info.head.total_size);
    free_list = free_count = extent_count = 0; /* as if the kernel had just been loaded */
    const struct multiboot2_info *placed = physical_place_information(information_at, &info);
    init(placed);
    return placed;
}

/* Takes all frames: they are the wanted ones, each once. */
static unsigned take_all(void) {
    unsigned count = find_wanted();
    for (unsigned n = 0; n < count; n++) {
        /* mutant kernel/frame.c: free_count -= frame != 0; => free_count -= lowest != NULL; */
        CHECK_EQUAL(frame_count_free(), count - n);
        got[n] = frame_alloc();
        /* The lowest first: before paging_init() only the first 4 GiB can be reached. */
        /* mutant kernel/frame.c: (!lowest || extents[n].start < lowest->start) => !lowest */
        CHECK(got[n] > (n ? got[n - 1] : 0));
    }
    CHECK_EQUAL(frame_count_free(), 0);
    CHECK_EQUAL(frame_alloc(), 0);
    CHECK_EQUAL(frame_alloc(), 0);
    qsort(got, count, sizeof(got[0]), compare);
    CHECK(!memcmp(got, wanted, count * sizeof(got[0])));
    return count;
}

/* Frames go back and forth; who has one, has it alone. */
static void exchange(unsigned count) {
    for (unsigned round = 0; round < 500 && count; round++) {
        unsigned some = 1 + (unsigned)any_below(count < 20 ? count : 20);
        for (unsigned n = 0; n < some; n++) { /* any of them, moved to the front */
            unsigned other = n + (unsigned)any_below(count - n);
            uint64_t frame = got[other];
            got[other] = got[n];
            got[n] = frame;
            memset(phys_to_virt(frame), 0xff, PAGE_SIZE);
            frame_free(frame);
        }
        CHECK_EQUAL(frame_count_free(), some);
        for (unsigned n = 0; n < some; n++) {
            got[n] = frame_alloc();
            CHECK(got[n]);
            for (unsigned i = 0; i < PAGE_SIZE / 8; i++)
                /* mutant kernel/frame.c: memset(phys_to_virt(frame), 0, PAGE_SIZE); =>
                   memset(phys_to_virt(frame), 0, 8); */
                CHECK_EQUAL(((uint64_t *)phys_to_virt(got[n]))[i], 0);
        }
        CHECK_EQUAL(frame_alloc(), 0);
    }
    qsort(got, count, sizeof(got[0]), compare);
    CHECK(!memcmp(got, wanted, count * sizeof(got[0])));
}

static void test_any_map(void) {
    /* mutant kernel/frame.c: end = page_align_up(end); => end = page_align_down(end) + PAGE_SIZE; */
    /* mutant kernel/frame.c: start = page_align_down(start); => start = page_align_up(start); */
    /* mutant kernel/frame.c: start > whole.start ? start : whole.start => start */
    /* mutant kernel/frame.c: whole.start < end && => whole.start + PAGE_SIZE < end && */
    /* mutant kernel/frame.c: add(end, whole.end); => ; */
    /* mutant kernel/frame.c: cut(module->start, module->end); => ; */
    /* mutant kernel/frame.c: cut((uint64_t)image_start, (uint64_t)image_end - KERNEL_BASE); => ; */
    /* mutant kernel/frame.c: cut(0, 0x100000); => ; */
    /* mutant kernel/frame.c: virt_to_phys(info) + info->total_size => virt_to_phys(info) + 1 */
    /* mutant kernel/frame.c: if (memory.type != MEMORY_AVAILABLE) => if (0) */
    /* mutant kernel/frame.c: cut(start, end); if (start < end => if (start < end */
    for (unsigned round = 0; round < 200; round++) {
        entry_count = (unsigned)any_below(ENTRIES_MAX + 1);
        for (unsigned n = 0; n < entry_count; n++)
            entries[n] = (struct multiboot2_memory){any_address(), any_size(), any_below(4) ? 1 : 2 + any_below(4), 0};
        uint64_t information_at = (any_address() & 0xfffffff) & ~7ul;
        const struct multiboot2_info *placed = start_machine((unsigned)any_below(MODULES_MAX + 1), information_at);
        unsigned count = take_all();
        exchange(count);
        for (unsigned n = 0; n < count; n++) /* nobody else's memory is touched */
            memset(phys_to_virt(got[n]), 0xff, PAGE_SIZE);
        CHECK(!memcmp(placed, &info, info.head.total_size));
    }
}

/* Takes all frames there are: each is a wanted one, and none comes twice. Returns their number. */
static unsigned take_some(void) {
    uint64_t count = frame_count_free();
    unsigned distinct = find_wanted(), at = 0;
    CHECK(count <= distinct);
    for (unsigned n = 0; n < count; n++)
        CHECK((got[n] = frame_alloc()));
    CHECK_EQUAL(frame_count_free(), 0);
    CHECK_EQUAL(frame_alloc(), 0);
    qsort(got, count, sizeof(got[0]), compare);
    for (unsigned n = 0; n < count; n++) {
        while (at < distinct && wanted[at] < got[n])
            at++;
        CHECK(at < distinct && wanted[at++] == got[n]);
    }
    return (unsigned)count;
}

/* More pieces than the table has room for, whether there are so many entries or something is cut out so often: what
 * does not fit in stays unused, and nothing else is lost or handed out twice. */
static void test_pieces(void) {
    /* mutant kernel/frame.c: extent_count < EXTENTS_MAX => extent_count <= EXTENTS_MAX */
    entry_count = ENTRIES_ALL; /* of one page each, with gaps between */
    for (unsigned n = 0; n < ENTRIES_ALL; n++)
        entries[n] = (struct multiboot2_memory){0x1000000 + n * 2 * PAGE_SIZE, PAGE_SIZE, 1, 0};
    start_machine(0, 0x9000);
    CHECK_EQUAL(take_some(), EXTENTS_MAX);

    /* One piece of memory with holes. What is above the hole that no longer fits is given up, not the hole. */
    for (unsigned n = 0; n < ENTRIES_ALL; n++)
        entries[n] = (struct multiboot2_memory){0x1000000 + n * 2 * PAGE_SIZE, PAGE_SIZE, 2, 0};
    entries[0] = (struct multiboot2_memory){0x1000000, (2 * ENTRIES_ALL - 1) * PAGE_SIZE, 1, 0};
    start_machine(0, 0x9000);
    /* mutant kernel/frame.c: extents[n].end = start =>
       extents[n].end = extent_count == EXTENTS_MAX ? whole.end : start */
    CHECK_EQUAL(take_some(), 1 + EXTENTS_MAX);

    /* A full table, and then an entry over half of it: it does not fit, so there is less, but nothing twice. */
    for (unsigned n = 0; n < EXTENTS_MAX; n++)
        entries[n] = (struct multiboot2_memory){0x1000000 + n * 2 * PAGE_SIZE, PAGE_SIZE, 1, 0};
    entries[EXTENTS_MAX] = (struct multiboot2_memory){0x1000000, EXTENTS_MAX * PAGE_SIZE, 1, 0};
    entry_count = EXTENTS_MAX + 1;
    start_machine(0, 0x9000);
    take_some();

    for (unsigned round = 0; round < 200; round++) {
        entry_count = (unsigned)any_below(ENTRIES_ALL + 1);
        for (unsigned n = 0; n < entry_count; n++)
            entries[n] = (struct multiboot2_memory){any_address(), any_size() / 8, any_below(3) ? 1 : 2, 0};
        const struct multiboot2_info *placed =
            start_machine((unsigned)any_below(MODULES_MAX + 1), (any_address() & 0xfffffff) & ~7ul);
        unsigned count = take_some();
        for (unsigned n = 0; n < count; n++)
            memset(phys_to_virt(got[n]), 0xff, PAGE_SIZE);
        CHECK(!memcmp(placed, &info, info.head.total_size));
    }
}

/* Memory beyond 4 GiB, of which no frame is touched before it is given out: only the counting is quick. */
static void test_large(void) {
    entry_count = 2;
    entries[0] = (struct multiboot2_memory){0x100000, 0xbff00000, 1, 0};
    entries[1] = (struct multiboot2_memory){0x100000000, 1ul << 39, 1, 0};
    start_machine(0, 0x9000);
    uint64_t image = ((uint64_t)image_end - KERNEL_BASE - 0x100000) / PAGE_SIZE;
    CHECK_EQUAL(frame_count_free(), (0xbff00000 + (1ul << 39)) / PAGE_SIZE - image);
    bool beyond = false;
    for (unsigned n = 0; n < 0xc0000; n++)
        beyond |= frame_alloc() >= 0x100000000;
    CHECK(beyond);
}

/* No memory map at all, or an empty one: no frames, and no harm. */
static void test_none(void) {
    entry_count = 0;
    start_machine(0, 0x9000);
    CHECK_EQUAL(frame_alloc(), 0);
    physical_clear();
    information_begin(&info);
    information_end(&info);
    free_list = free_count = extent_count = 0;
    init(physical_place_information(0x9000, &info));
    CHECK_EQUAL(frame_count_free(), 0);
    CHECK_EQUAL(frame_alloc(), 0);
}

int main(void) {
    test_none();
    test_any_map();
    test_pieces();
    test_large();
    return 0;
}
