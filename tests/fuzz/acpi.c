/* acpi.c: any bytes as the firmware's tables. A MADT that is found is sound and lies in memory that was mapped; its walk
 * ends, and never leaves it.
 * SPDX-License-Identifier: MIT
 *
 * The input: where the tables lie in physical memory (8 bytes), the RSDP (36), and the memory from there on. It is tried
 * as it is, and once more with every checksum put right, which bytes that only chance has chosen never are. */
#include <fuzz/fuzz.h>
#include <stdarg.h>
#include <sys/mman.h>
/* The kernel has its own, of the same values. */
#undef PROT_READ
#undef PROT_WRITE
#undef PROT_EXEC
#include <kernel/memory.h>
#include <kernel/multiboot2.c>
#include <kernel/acpi.c>

#define PROT_NONE_ 0
#define PROT_READ_ 1
#define PROT_BOTH_ 3

#define ROOM     0x14000 /* bytes of physical memory that there are */
#define HEADER   44      /* of the input, before the tables */
#define ID_PLACE 3       /* in an entry of type 0 */

static struct information info;
static uint8_t *firmware;
static uint64_t base; /* physical; a page's border */

void printk(const char *format, ...) {}

void *map_physical(uint64_t phys, uint64_t size, uint64_t flags) {
    CHECK(flags & PTE_NX);
    /* mutant kernel/acpi.c: map_physical(phys, table->length, PTE_WRITE | PTE_NX) && => */
    if (phys >= DIRECT_SIZE || size > DIRECT_SIZE - phys || phys < base || phys + size > base + ROOM)
        return NULL;
    uint64_t start = page_align_down(phys), end = page_align_up(phys + size);
    CHECK(!mprotect(firmware + (start - base), end - start, PROT_READ_));
    return firmware + (phys - base);
}

static void make_sound(uint8_t *bytes, size_t size, size_t place) {
    uint8_t sum = 0;
    bytes[place] = 0;
    for (size_t i = 0; i < size; i++)
        sum += bytes[i];
    bytes[place] = (uint8_t)-sum;
}

/* Whatever looks like a table gets the checksum that it wants. */
static void repair(uint8_t *rsdp, size_t size) {
    make_sound(rsdp, 20, 8);
    make_sound(rsdp, 36, 32);
    for (size_t at = 0; at + sizeof(struct acpi_table) <= size; at++) {
        uint8_t *table = firmware + at;
        uint32_t length;
        memcpy(&length, table + 4, 4);
        if ((!memcmp(table, "XSDT", 4) || !memcmp(table, "RSDT", 4) || !memcmp(table, "APIC", 4)) && length >= 10 &&
            length <= ROOM - at)
            make_sound(table, length, 9);
    }
}

/* On a copy that ends where its length says. */
static void walk(const struct acpi_table *madt) {
    struct acpi_table *copy = exact_copy(madt, madt->length);
    uint32_t offset = 0, before = MADT_FIRST, id;
    /* mutant kernel/acpi.c: while (*offset + 2 <= madt->length) => while (*offset < madt->length) */
    /* mutant kernel/acpi.c: || entry[1] > madt->length - *offset => */
    /* mutant kernel/acpi.c: entry[1] < 2 || => */
    while (madt_next_cpu(copy, &offset, &id)) {
        CHECK(offset > before && offset <= copy->length);
        /* mutant kernel/acpi.c: && entry[1] >= 8 => */
        CHECK(id <= 255 && offset - before >= 8);
        before = offset;
    }
    CHECK(offset <= copy->length || offset == MADT_FIRST);
    free_copy(copy, copy->length);
}

static void try(const uint8_t *data, size_t size, bool sound) {
    uint8_t rsdp[36];
    CHECK(!mprotect(firmware, ROOM, PROT_BOTH_));
    memset(firmware, 0, ROOM);
    memcpy(&base, data, 8);
    base = page_align_down(base % (DIRECT_SIZE - ROOM));
    memcpy(rsdp, data + 8, sizeof(rsdp));
    memcpy(firmware, data + HEADER, size - HEADER);
    if (sound)
        repair(rsdp, size - HEADER);
    CHECK(!mprotect(firmware, ROOM, PROT_NONE_));
    information_begin(&info);
    information_add_true(&info, MULTIBOOT2_RSDP_OLD, rsdp, 20);
    information_add_true(&info, MULTIBOOT2_RSDP_NEW, rsdp, 36);
    information_end(&info);
    const struct acpi_table *madt = acpi_find_madt(&info.head);
    if (!madt)
        return;
    /* mutant kernel/acpi.c: table->length >= sizeof(*table) && => */
    CHECK(madt->length >= sizeof(*madt) && madt->length <= TABLE_MAX);
    /* mutant kernel/acpi.c: memcmp(table->signature, signature, 4) == 0 => 1 */
    CHECK(!memcmp(madt->signature, "APIC", 4));
    /* mutant kernel/acpi.c: && checksum_right(table, table->length); => ; */
    CHECK(checksum_right(madt, madt->length));
    walk(madt);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!firmware)
        firmware = mmap(NULL, ROOM, PROT_BOTH_, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(firmware != MAP_FAILED);
    if (size < HEADER || size - HEADER > ROOM)
        return 0;
    try(data, size, false);
    try(data, size, true);
    return 0;
}
