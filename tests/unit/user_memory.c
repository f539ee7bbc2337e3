/* user_memory.c: where brk and mmap put what a program asks for: in its own half, and nowhere twice, whatever it asks.
 * SPDX-License-Identifier: MIT */
#include <unit/check.h>
#include <kernel/pcr.h>
#undef this_cpu
static struct pcr cpu, *const this_cpu = &cpu;
#include <kernel/task.h>
#include <kernel/user_memory.c>

#define BRK_START 0x409000
#define FREE      100 /* frames */
#define NO_MEMORY ((uint64_t)-ENOMEM)

static struct task task;
static struct { uint64_t start, end; } mapped[64];
static unsigned mapped_count;

static void check_range(uint64_t start, uint64_t size) {
    CHECK(start % PAGE_SIZE == 0 && size % PAGE_SIZE == 0);
    CHECK(start <= USER_TOP && size <= USER_TOP - start); /* what follows relies on it */
}

uint64_t frame_count_free(void) { return FREE; }

bool user_range_free(const struct address_space *space, uint64_t start, uint64_t size) {
    check_range(start, size);
    for (unsigned n = 0; n < mapped_count; n++)
        if (start < mapped[n].end && mapped[n].start < start + size)
            return false;
    return true;
}

bool user_map(struct address_space *space, uint64_t start, uint64_t size, unsigned prot) {
    check_range(start, size);
    if (size / PAGE_SIZE > FREE || !user_range_free(space, start, size))
        return false;
    CHECK(mapped_count < sizeof(mapped) / sizeof(mapped[0]));
    mapped[mapped_count].start = start;
    mapped[mapped_count++].end = start + size;
    return true;
}

void user_unmap(struct address_space *space, uint64_t start, uint64_t size) {
    check_range(start, size);
    for (unsigned n = 0; n < mapped_count; n++)
        if (start <= mapped[n].start && mapped[n].end <= start + size)
            mapped[n].end = mapped[n].start;
}

static void begin(void) {
    mapped_count = 0;
    task.space = (struct address_space){.brk_start = BRK_START, .brk = BRK_START, .mmap_bottom = MMAP_TOP};
    cpu.current = &task;
}

static uint64_t call_mmap(uint64_t address, uint64_t size, uint64_t flags) {
    struct trap_frame frame = {.rdi = address, .rsi = size, .rdx = PROT_READ, .r10 = flags | MAP_ANONYMOUS};
    return (uint64_t)sys_mmap(&frame);
}

static uint64_t call_brk(uint64_t address) {
    struct trap_frame frame = {.rdi = address};
    return (uint64_t)sys_brk(&frame);
}

static uint64_t call_munmap(uint64_t address, uint64_t size) {
    struct trap_frame frame = {.rdi = address, .rsi = size};
    return (uint64_t)sys_munmap(&frame);
}

/* Downwards, and no address twice, though it is free again. */
static void test_addresses(void) {
    begin();
    CHECK_EQUAL(call_mmap(0, PAGE_SIZE, MAP_PRIVATE), MMAP_TOP - PAGE_SIZE);
    CHECK_EQUAL(call_mmap(0, PAGE_SIZE + 1, MAP_SHARED), MMAP_TOP - 3 * PAGE_SIZE);
    CHECK_EQUAL(call_munmap(MMAP_TOP - 3 * PAGE_SIZE, 2 * PAGE_SIZE), 0);
    CHECK_EQUAL(call_mmap(0, PAGE_SIZE, MAP_PRIVATE), MMAP_TOP - 4 * PAGE_SIZE);
    /* mutant kernel/user_memory.c: while (!user_range_free(space, address, size)) => while (0) */
    CHECK_EQUAL(call_mmap(MMAP_TOP - 5 * PAGE_SIZE, PAGE_SIZE, MAP_PRIVATE | MAP_FIXED), MMAP_TOP - 5 * PAGE_SIZE);
    CHECK_EQUAL(call_mmap(0, PAGE_SIZE, MAP_PRIVATE), MMAP_TOP - 6 * PAGE_SIZE);
}

/* Too much is refused, and costs no addresses: else one call would take them all from those that follow. */
static void test_too_much(void) {
    static const uint64_t sizes[] = {(FREE + 1) * PAGE_SIZE, MMAP_TOP - BRK_START,   MMAP_TOP,  USER_TOP,
                                     USER_TOP + 1,           UINT64_MAX - PAGE_SIZE, UINT64_MAX};
    for (unsigned n = 0; n < sizeof(sizes) / sizeof(sizes[0]); n++) {
        begin();
        /* mutant kernel/user_memory.c: || size / PAGE_SIZE > frame_count_free() || => || */
        /* mutant kernel/user_memory.c: frame->rsi > USER_TOP || => */
        CHECK_EQUAL(call_mmap(0, sizes[n], MAP_PRIVATE), NO_MEMORY);
        CHECK_EQUAL(call_mmap(PAGE_SIZE, sizes[n], MAP_PRIVATE | MAP_FIXED), NO_MEMORY);
        CHECK_EQUAL(call_brk(sizes[n] > PAGE_SIZE ? BRK_START + sizes[n] : 0), BRK_START);
        CHECK_EQUAL(call_mmap(0, PAGE_SIZE, MAP_PRIVATE), MMAP_TOP - PAGE_SIZE);
    }
    CHECK_EQUAL(call_mmap(0, 0, MAP_PRIVATE), (uint64_t)-EINVAL);
}

/* Once the addresses are used up there are none: neither below the heap nor in the kernel's half. */
static void test_at_the_end(void) {
    begin();
    task.space.mmap_bottom = BRK_START + PAGE_SIZE;
    CHECK_EQUAL(call_mmap(0, 2 * PAGE_SIZE, MAP_PRIVATE), NO_MEMORY);
    CHECK_EQUAL(call_mmap(0, PAGE_SIZE, MAP_PRIVATE), BRK_START);
    CHECK_EQUAL(call_munmap(BRK_START, PAGE_SIZE), 0);
    CHECK_EQUAL(call_brk(BRK_START + 2 * PAGE_SIZE), BRK_START + 2 * PAGE_SIZE); /* above what mmap() has left */
    /* mutant kernel/user_memory.c: address < space->brk || => */
    for (unsigned n = 0; n < 20; n++)
        CHECK_EQUAL(call_mmap(0, FREE * PAGE_SIZE, MAP_PRIVATE), NO_MEMORY);
}

/* Fixed addresses take the place of what was there, but not of a null pointer, nor above ring 3's. */
static void test_fixed(void) {
    begin();
    CHECK_EQUAL(call_mmap(0, PAGE_SIZE, MAP_PRIVATE | MAP_FIXED), (uint64_t)-EPERM);
    CHECK_EQUAL(call_mmap(1, PAGE_SIZE, MAP_PRIVATE | MAP_FIXED), (uint64_t)-EINVAL);
    CHECK_EQUAL(call_mmap(PAGE_SIZE, PAGE_SIZE, MAP_PRIVATE | MAP_FIXED), PAGE_SIZE);
    CHECK_EQUAL(call_mmap(PAGE_SIZE, PAGE_SIZE, MAP_PRIVATE | MAP_FIXED), PAGE_SIZE);
    CHECK_EQUAL(call_mmap(USER_TOP - PAGE_SIZE, PAGE_SIZE, MAP_PRIVATE | MAP_FIXED), USER_TOP - PAGE_SIZE);
    /* mutant kernel/user_memory.c: (fixed && !in_user_space(address, size)) => 0 */
    CHECK_EQUAL(call_mmap(USER_TOP - PAGE_SIZE, 2 * PAGE_SIZE, MAP_PRIVATE | MAP_FIXED), NO_MEMORY);
    CHECK_EQUAL(call_mmap(0xffffffff80000000, PAGE_SIZE, MAP_PRIVATE | MAP_FIXED), NO_MEMORY);
    /* mutant kernel/address_space.h: address < USER_TOP && size <= => size <= */
    CHECK_EQUAL(call_munmap(0xffffffff80000000, PAGE_SIZE), (uint64_t)-EINVAL);
    CHECK_EQUAL(call_munmap(0, USER_TOP + 1), (uint64_t)-EINVAL);
    CHECK_EQUAL(call_munmap(0, USER_TOP), 0);
}

int main(void) {
    test_addresses();
    test_too_much();
    test_at_the_end();
    test_fixed();
    return 0;
}
