/* acpi.c: the firmware's tables, sound and unsound: CPUs are found, and no length leads outside a table.
 * SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <sys/mman.h>
#include <unit/information.h>
/* The kernel has its own, of the same values. */
#undef PROT_READ
#undef PROT_WRITE
#undef PROT_EXEC
#include <kernel/memory.h>
#include <kernel/multiboot2.c>
#include <kernel/acpi.c>

#define FIRMWARE_BASE 0xbff00000 /* physical */
#define FIRMWARE_SIZE 0x400000

static struct information info;
static uint8_t *firmware; /* its pages cannot be read until map_physical() shows them */
static uint64_t next_page;
static char printed[300];

void printk(const char *format, ...) {
    va_list list;
    va_start(list, format);
    vsnprintf(printed, sizeof(printed), format, list);
    va_end(list);
}

void *map_physical(uint64_t phys, uint64_t size, uint64_t flags) {
    static const uint8_t nothing[sizeof(struct acpi_table)];
    CHECK(flags & PTE_NX);
    if (phys >= DIRECT_SIZE || size > DIRECT_SIZE - phys)
        return NULL;
    if (phys < FIRMWARE_BASE || phys + size > FIRMWARE_BASE + FIRMWARE_SIZE)
        return size <= sizeof(nothing) ? (void *)nothing : NULL;
    uint64_t start = page_align_down(phys), end = page_align_up(phys + size);
    CHECK(!mprotect(firmware + (start - FIRMWARE_BASE), end - start, PROT_READ));
    return firmware + (phys - FIRMWARE_BASE);
}

static void firmware_begin(void) {
    if (!firmware)
        firmware = mmap(NULL, FIRMWARE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(firmware != MAP_FAILED);
    CHECK(!madvise(firmware, FIRMWARE_SIZE, MADV_DONTNEED));
    next_page = FIRMWARE_BASE;
    information_begin(&info);
    printed[0] = '\0';
}

/* Makes the sum of the bytes 0 by the one at the given place. */
static void make_sound(uint8_t *bytes, size_t size, size_t place) {
    uint8_t sum = 0;
    bytes[place] = 0;
    for (size_t i = 0; i < size; i++)
        sum += bytes[i];
    bytes[place] = (uint8_t)-sum;
}

/* Lays a table so that it ends with a page behind which nothing can be read. Returns its address, mostly unaligned. */
static uint64_t firmware_add(const uint8_t *bytes, size_t size) {
    uint64_t phys = page_align_up(next_page + size) - size;
    CHECK(page_align_up(phys + size) + PAGE_SIZE <= FIRMWARE_BASE + FIRMWARE_SIZE);
    uint8_t *at = firmware + (phys - FIRMWARE_BASE);
    uint64_t start = page_align_down(phys);
    CHECK(!mprotect(firmware + (start - FIRMWARE_BASE), phys + size - start, PROT_READ | PROT_WRITE));
    memcpy(at, bytes, size);
    next_page = phys + size + PAGE_SIZE;
    return phys;
}

/* Nothing can be read any more, but by map_physical(). */
static void firmware_end(void) {
    CHECK(!mprotect(firmware, FIRMWARE_SIZE, PROT_NONE));
    information_end(&info);
}

struct table {
    size_t size;
    uint8_t bytes[0x4000];
};

static void table_begin(struct table *table, const char *signature, size_t header) {
    memset(table, 0, sizeof(*table));
    memcpy(table->bytes, signature, 4);
    table->size = header;
}

static void table_append(struct table *table, const void *bytes, size_t size) {
    CHECK(table->size + size <= sizeof(table->bytes));
    memcpy(table->bytes + table->size, bytes, size);
    table->size += size;
}

/* Writes length and checksum, and lays it. */
static uint64_t table_lay(struct table *table) {
    uint32_t length = (uint32_t)table->size;
    memcpy(table->bytes + 4, &length, 4);
    make_sound(table->bytes, table->size, 9);
    return firmware_add(table->bytes, table->size);
}

static void add_lapic(struct table *madt, uint8_t id, uint32_t flags) {
    uint8_t entry[8] = {0, 8, id, id};
    memcpy(entry + 4, &flags, 4);
    table_append(madt, entry, 8);
}

static void add_x2apic(struct table *madt, uint32_t id, uint32_t flags) {
    uint8_t entry[16] = {9, 16};
    memcpy(entry + 4, &id, 4);
    memcpy(entry + 8, &flags, 4);
    table_append(madt, entry, 16);
}

static uint64_t lay_root(const char *signature, unsigned size, const uint64_t *addresses, unsigned count) {
    struct table root;
    table_begin(&root, signature, sizeof(struct acpi_table));
    for (unsigned n = 0; n < count; n++)
        table_append(&root, &addresses[n], size);
    return table_lay(&root);
}

/* The RSDP tag of ACPI 1.0 or, with an XSDT, of 2.0. */
static void add_rsdp(uint64_t rsdt, uint64_t xsdt) {
    uint8_t rsdp[36] = "RSD PTR ";
    memcpy(rsdp + 16, &rsdt, 4);
    rsdp[15] = xsdt ? 2 : 0;
    rsdp[20] = 36;
    memcpy(rsdp + 24, &xsdt, 8);
    make_sound(rsdp, 20, 8);
    make_sound(rsdp, 36, 32);
    information_add_true(&info, xsdt ? MULTIBOOT2_RSDP_NEW : MULTIBOOT2_RSDP_OLD, rsdp, xsdt ? 36 : 20);
}

static uint32_t ids[1000];

/* The ids that the kernel finds, into ids[]. */
static unsigned find_cpus(void) {
    const struct acpi_table *madt = acpi_find_madt(&info.head);
    uint32_t offset = 0, id;
    unsigned count = 0;
    while (madt && madt_next_cpu(madt, &offset, &id)) {
        CHECK(count < sizeof(ids) / sizeof(ids[0]));
        CHECK(offset <= madt->length);
        ids[count++] = id;
    }
    CHECK(!madt == !!printed[0]);
    return count;
}

#define NO_RSDP "acpi: the boot loader gave no sound RSDP; only this CPU is used\n"
#define NO_MADT "acpi: no sound MADT; only this CPU is used\n"

/* Four CPUs behind an XSDT (8) or an RSDT (4) that lists two other tables first. */
static void test_good(unsigned root_size) {
    struct table madt, other;
    firmware_begin();
    table_begin(&other, "FACP", 120);
    table_begin(&madt, "APIC", MADT_FIRST);
    for (uint8_t id = 0; id < 8; id += 2)
        add_lapic(&madt, id, 1);
    uint64_t tables[3] = {table_lay(&other), 0, table_lay(&madt)};
    uint64_t root = lay_root(root_size == 8 ? "XSDT" : "RSDT", root_size, tables, 3);
    add_rsdp(root_size == 4 ? root : 0, root_size == 8 ? root : 0);
    firmware_end();
    CHECK_EQUAL(find_cpus(), 4);
    for (unsigned n = 0; n < 4; n++)
        CHECK_EQUAL(ids[n], 2 * n);
}

/* A MADT with these entries alone: what is found in it. */
static unsigned cpus_of(struct table *madt) {
    static struct acpi_table *copy;
    uint32_t length = (uint32_t)madt->size, offset = 0, id;
    unsigned count = 0;
    memcpy(madt->bytes + 4, &length, 4);
    copy = exact_copy(madt->bytes, madt->size);
    while (madt_next_cpu(copy, &offset, &id)) {
        CHECK(count < sizeof(ids) / sizeof(ids[0]));
        CHECK(offset <= length);
        ids[count++] = id;
    }
    free_copy(copy, madt->size);
    return count;
}

static void test_madt(void) {
    struct table madt;
    table_begin(&madt, "APIC", MADT_FIRST);
    CHECK_EQUAL(cpus_of(&madt), 0);
    add_lapic(&madt, 0, 1);
    /* mutant kernel/acpi.c: && entry[4] & CPU_ENABLED => */
    add_lapic(&madt, 1, 0); /* disabled */
    add_lapic(&madt, 2, 2); /* could be enabled later: not now */
    add_lapic(&madt, 3, 3);
    table_append(&madt, "\1\x0c............", 12); /* an I/O APIC */
    table_append(&madt, "\x80\2", 2);              /* of a type that nobody knows */
    /* mutant kernel/acpi.c: entry[0] == MADT_LAPIC && => */
    add_x2apic(&madt, 0x12345679, 1); /* only x2APIC mode could reach it */
    add_x2apic(&madt, 5, 1);
    add_lapic(&madt, 3, 1); /* again */
    /* mutant kernel/acpi.c: *apic_id = entry[3]; => *apic_id = entry[2]; */
    table_append(&madt, "\0\x08\x07\xfe\1\0\0\0", 8); /* the processor's number is not its id */
    CHECK_EQUAL(cpus_of(&madt), 4);
    CHECK(ids[0] == 0 && ids[1] == 3 && ids[2] == 3 && ids[3] == 0xfe);
}

static void test_many(void) {
    struct table madt;
    table_begin(&madt, "APIC", MADT_FIRST);
    for (uint32_t id = 0; id < 255; id++)
        add_lapic(&madt, (uint8_t)id, 1);
    for (uint32_t id = 255; id < 300; id++)
        add_x2apic(&madt, id, 1);
    CHECK_EQUAL(cpus_of(&madt), 255);
    for (uint32_t id = 0; id < 255; id++)
        CHECK_EQUAL(ids[id], id);
}

/* Entries that are shorter than their type, of no length, longer than the table. */
static void test_madt_lengths(void) {
    struct table madt;
    for (unsigned length = 0; length < 256; length++) {
        table_begin(&madt, "APIC", MADT_FIRST);
        add_lapic(&madt, 1, 1);
        uint8_t entry[24] = {0, (uint8_t)length, 2, 2, 1};
        table_append(&madt, entry, 24);
        /* mutant kernel/acpi.c: || entry[1] > madt->length - *offset => */
        unsigned found = cpus_of(&madt);
        CHECK_EQUAL(ids[0], 1);
        if (length >= 8 && length <= 24)
            CHECK(found >= 2 && ids[1] == 2);
        else if (length < 2 || length > 24)
            CHECK_EQUAL(found, 1);
    }
    /* The last one, shorter than its type: what is missing lies behind the table. */
    for (uint8_t length = 2; length < 8; length++) {
        uint8_t entry[8] = {0, length, 2, 2, 1};
        table_begin(&madt, "APIC", MADT_FIRST);
        table_append(&madt, entry, length);
        /* mutant kernel/acpi.c: && entry[1] >= 8 => */
        CHECK_EQUAL(cpus_of(&madt), 0);
    }
    /* A length of 1 would lead to a CPU in the middle of it. */
    table_begin(&madt, "APIC", MADT_FIRST);
    table_append(&madt, "\0\1\2\0\x08\5\5\1\0\0\0", 11);
    /* mutant kernel/acpi.c: entry[1] < 2 || => entry[1] == 0 || */
    CHECK_EQUAL(cpus_of(&madt), 0);
    /* Cut off at every byte, the header too. */
    for (size_t size = sizeof(struct acpi_table); size < MADT_FIRST + 48; size++) {
        table_begin(&madt, "APIC", MADT_FIRST);
        for (uint8_t id = 0; id < 6; id++)
            add_lapic(&madt, id, 1);
        madt.size = size;
        /* mutant kernel/acpi.c: while (*offset + 2 <= madt->length) => while (*offset + 1 <= madt->length) */
        CHECK_EQUAL(cpus_of(&madt), size < MADT_FIRST ? 0 : (size - MADT_FIRST) / 8);
    }
}

static void check_none(const char *line) {
    CHECK_EQUAL(find_cpus(), 0);
    CHECK_TEXT(printed, line);
}

static void test_no_rsdp(void) {
    uint8_t rsdp[36] = "RSD PTR ";
    firmware_begin();
    firmware_end();
    check_none(NO_RSDP);
    firmware_begin();
    make_sound(rsdp, 20, 8);
    information_add_true(&info, MULTIBOOT2_RSDP_OLD, rsdp, 19); /* too short */
    information_add_true(&info, MULTIBOOT2_RSDP_NEW, rsdp, 35);
    firmware_end();
    check_none(NO_RSDP);
    firmware_begin();
    rsdp[8]++;
    /* mutant kernel/acpi.c: && checksum_right(tag + 1, size); => ; */
    information_add_true(&info, MULTIBOOT2_RSDP_OLD, rsdp, 20);
    firmware_end();
    check_none(NO_RSDP);
    firmware_begin();
    add_rsdp(0, 0); /* sound, and leads nowhere */
    firmware_end();
    check_none(NO_MADT);
}

/* One byte of a table is wrong, or the address: no CPUs, and a line that says so. */
static void test_unsound_tables(void) {
    static const uint64_t nowhere[] = {1,           0x1000,         FIRMWARE_BASE - 1, DIRECT_SIZE - 1,
                                       DIRECT_SIZE, UINT64_MAX - 8, UINT64_MAX};
    for (unsigned n = 0; n < sizeof(nowhere) / sizeof(nowhere[0]); n++) {
        firmware_begin();
        add_rsdp(0, nowhere[n]);
        firmware_end();
        check_none(NO_MADT);
        firmware_begin();
        add_rsdp(0, lay_root("XSDT", 8, &nowhere[n], 1));
        firmware_end();
        check_none(NO_MADT);
    }
    for (unsigned wrong = 0; wrong < 60; wrong++) {
        struct table madt;
        firmware_begin();
        table_begin(&madt, "APIC", MADT_FIRST);
        add_lapic(&madt, 1, 1);
        add_lapic(&madt, 2, 1);
        uint64_t at = table_lay(&madt);
        /* mutant kernel/acpi.c: && checksum_right(table, table->length); => ; */
        firmware[at - FIRMWARE_BASE + wrong] ^= 0x40;
        add_rsdp(0, lay_root("XSDT", 8, &at, 1));
        firmware_end();
        check_none(NO_MADT);
    }
}

/* The length in a table's header is wrong; its checksum is made right for it where there are that many bytes. */
static void test_wrong_lengths(void) {
    static const uint32_t lengths[] = {0,  1,  8,       35,      36,       43,         44,
                                       45, 46, 0x10000, 0x10001, 0x100001, 0x7fffffff, 0xffffffff};
    for (unsigned n = 0; n < sizeof(lengths) / sizeof(lengths[0]); n++) {
        for (unsigned which = 0; which < 2; which++) {
            struct table madt, root;
            firmware_begin();
            table_begin(&madt, "APIC", MADT_FIRST);
            add_lapic(&madt, 1, 1);
            uint64_t at = table_lay(&madt);
            table_begin(&root, "XSDT", sizeof(struct acpi_table));
            table_append(&root, &at, 8);
            uint64_t root_at = table_lay(&root);
            uint8_t *changed = firmware + ((which ? root_at : at) - FIRMWARE_BASE);
            memcpy(changed + 4, &lengths[n], 4);
            make_sound(changed, lengths[n] < 44 && lengths[n] > 9 ? lengths[n] : 44, 9);
            add_rsdp(0, root_at);
            firmware_end();
            /* mutant kernel/acpi.c: && table->length >= sizeof(*table) => */
            /* mutant kernel/acpi.c: table->length <= TABLE_MAX && => */
            /* mutant kernel/acpi.c: map_physical(phys, table->length, PTE_WRITE | PTE_NX) && => */
            /* mutant kernel/acpi.c: at + size <= root->length => at < root->length */
            if (lengths[n] < (which ? 44 : 36) || lengths[n] > TABLE_MAX)
                check_none(NO_MADT);
            else
                CHECK(find_cpus() <= 1);
        }
    }
}

/* Where the new root is unsound the old one is used. */
static void test_fallback(void) {
    struct table madt;
    firmware_begin();
    table_begin(&madt, "APIC", MADT_FIRST);
    add_lapic(&madt, 7, 1);
    uint64_t at = table_lay(&madt), nothing = 0;
    /* mutant kernel/acpi.c: if (rsdp && !madt) => if (rsdp && 0) */
    add_rsdp(lay_root("RSDT", 4, &at, 1), lay_root("XSDT", 8, &nothing, 1));
    firmware_end();
    CHECK_EQUAL(find_cpus(), 1);
    CHECK_EQUAL(ids[0], 7);
}

int main(void) {
    test_good(8);
    test_good(4);
    test_madt();
    test_many();
    test_madt_lengths();
    test_no_rsdp();
    test_unsound_tables();
    test_wrong_lengths();
    test_fallback();
    return 0;
}
