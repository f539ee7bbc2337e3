/* gdt.c: the descriptors, read back as the CPU reads them.
 * SPDX-License-Identifier: MIT
 *
 * Source of the layout: SDM 3A, "Segment Descriptors" and "Task Management in 64-bit Mode". */
#include <sys/mman.h>
#include <unit/check.h>
#include <kernel/gdt.c>

uint64_t kernel_stack_alloc(void) {
    static uint64_t top = 0xffffc00000000000;
    return top += 0x4000;
}

uint64_t panic_begin(const char *format, ...) {
    CHECK(!format);
    return 0;
}

_Noreturn void panic_end(uint64_t rip, uint64_t rbp) { abort(); }

struct descriptor {
    uint64_t base;
    uint32_t limit;
    unsigned type, dpl;
    bool segment, present, avl, l, db, g; /* segment: code or data, not a system descriptor */
};

static struct descriptor decode(uint64_t low, uint64_t high) {
    return (struct descriptor){
        .base = (low >> 16 & 0xffffff) | (low >> 56 & 0xff) << 24 | high << 32,
        .limit = (uint32_t)((low & 0xffff) | (low >> 48 & 0xf) << 16),
        .type = low >> 40 & 15,
        .segment = low >> 44 & 1,
        .dpl = low >> 45 & 3,
        .present = low >> 47 & 1,
        .avl = low >> 52 & 1,
        .l = low >> 53 & 1,
        .db = low >> 54 & 1,
        .g = low >> 55 & 1,
    };
}

#define CODE_ACCESSED 11 /* execute, read, accessed */
#define DATA_ACCESSED 3  /* read, write, accessed */
#define TSS64         9  /* available */

static uint64_t gdt[GDT_ENTRIES + 1]; /* zeroed, as gdt_fill() expects it */

static struct descriptor at(unsigned selector) { return decode(gdt[selector / 8], 0); }

static void test_segments(void) {
    struct tss tss;
    gdt[GDT_ENTRIES] = 0x5a5a;
    gdt_fill(gdt, &tss);
    CHECK_EQUAL(gdt[0], 0);
    CHECK_EQUAL(gdt[GDT_ENTRIES], 0x5a5a); /* nothing behind the table */
    static const struct {
        unsigned selector, type, dpl;
        bool l;
    } wanted[] = {{SEL_KERNEL_CODE, CODE_ACCESSED, 0, true},
                  {SEL_KERNEL_DATA, DATA_ACCESSED, 0, false},
                  {SEL_USER_DATA, DATA_ACCESSED, 3, false},
                  /* mutant kernel/gdt.c: = GDT_CODE64 | GDT_RING_3; => = GDT_CODE64; */
                  {SEL_USER_CODE, CODE_ACCESSED, 3, true}};
    for (unsigned i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        struct descriptor d = at(wanted[i].selector);
        CHECK(d.segment && d.present);
        CHECK_EQUAL(d.type, wanted[i].type);
        CHECK_EQUAL(d.dpl, wanted[i].dpl);
        CHECK_EQUAL(d.l, wanted[i].l);
        CHECK(!(d.l && d.db)); /* reserved together */
        CHECK_EQUAL(d.base, 0);
        CHECK(d.limit == 0xfffff && d.g);
        CHECK_EQUAL(wanted[i].selector & 3, wanted[i].dpl);
    }
    /* A program must not get to 32-bit code: SYSCALL would enter by another door. */
    /* mutant kernel/gdt.c: gdt[SEL_USER_DATA / 8] = =>
       gdt[SEL_USER_CODE32 / 8] = GDT_CODE32 | GDT_RING_3; gdt[SEL_USER_DATA / 8] = */
    CHECK(!at(SEL_USER_CODE32).present);
}

/* What SYSCALL and SYSRET compute from one selector each. */
static void test_order(void) {
    CHECK_EQUAL(SEL_KERNEL_DATA, SEL_KERNEL_CODE + 8);
    CHECK_EQUAL(SEL_USER_DATA, (SEL_USER_CODE32 | 3) + 8);
    CHECK_EQUAL(SEL_USER_CODE, (SEL_USER_CODE32 | 3) + 16);
    CHECK(SEL_TSS / 8 + 2 <= GDT_ENTRIES && SEL_TSS > SEL_USER_CODE);
}

static void check_tss(struct tss *tss) {
    memset(tss, 0xee, sizeof(*tss));
    gdt_fill(gdt, tss);
    struct descriptor d = decode(gdt[SEL_TSS / 8], gdt[SEL_TSS / 8 + 1]);
    /* mutant kernel/gdt.c: = base >> 32; => = 0; */
    /* mutant kernel/gdt.c: (base >> 24 & 0xff) << 56 => 0 */
    CHECK_EQUAL(d.base, tss);
    CHECK_EQUAL(d.limit, sizeof(*tss) - 1);
    CHECK_EQUAL(d.type, TSS64);
    CHECK(d.present && !d.segment && !d.g && d.dpl == 0);
    CHECK_EQUAL(gdt[SEL_TSS / 8 + 1] >> 32, 0); /* the reserved half, whose type bits must be 0 */
    /* mutant kernel/gdt.c: (struct tss){.iomap_base = sizeof(*tss)} => (struct tss){0} */
    CHECK(tss->iomap_base > d.limit); /* so that ring 3 may use no port */
    CHECK_EQUAL(tss->rsp0, 0);
}

/* The TSS may lie anywhere: the descriptor has all 64 bits of its address. */
static void test_tss(void) {
    static const uint64_t places[] = {0x12345000, 0x234567890000, 0x6ffedcba9000};
    for (unsigned p = 0; p < sizeof(places) / sizeof(places[0]); p++) {
        char *page = mmap((void *)places[p], 0x1000, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        CHECK_EQUAL(page, places[p]);
        for (unsigned offset = 0; offset < 0x1000 - sizeof(struct tss); offset += 4)
            check_tss((struct tss *)(page + offset));
        munmap(page, 0x1000);
    }
}

/* The CPU's offsets. Source: SDM 3A, "64-Bit TSS Format". */
static void test_tss_layout(void) {
    CHECK_EQUAL(offsetof(struct tss, rsp0), 4);
    CHECK_EQUAL(offsetof(struct tss, rsp2), 20);
    CHECK_EQUAL(offsetof(struct tss, ist[0]), 36);
    CHECK_EQUAL(offsetof(struct tss, ist[6]), 84);
    CHECK_EQUAL(offsetof(struct tss, iomap_base), 102);
    CHECK_EQUAL(sizeof(struct tss), 104);
}

static void test_ist(void) {
    struct tss tss;
    gdt_fill(gdt, &tss);
    for (unsigned i = 0; i < 7; i++) {
        /* mutant kernel/gdt.c: i < IST_COUNT => i < IST_COUNT - 1 */
        CHECK((tss.ist[i] != 0) == (i < IST_COUNT));
        CHECK_EQUAL(tss.ist[i] % 16, 0);
        for (unsigned other = 0; other < i; other++)
            CHECK(!tss.ist[i] || tss.ist[i] != tss.ist[other]);
    }
    CHECK(IST_DF != IST_NMI && IST_DF != IST_DB && IST_DF != IST_MC && IST_NMI != IST_DB && IST_NMI != IST_MC &&
          IST_DB != IST_MC);
}

int main(void) {
    test_segments();
    test_order();
    test_tss();
    test_tss_layout();
    test_ist();
    return 0;
}
