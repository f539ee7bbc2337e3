/* acpi.c: finds the MADT and reads it. Called by smp.c; every length in the tables is checked before it is used.
 * SPDX-License-Identifier: MIT
 *
 * Source: ACPI Specification, "Root System Description Pointer (RSDP)". */
#include <kernel/acpi.h>

#define TABLE_MAX   0x10000
#define RSDP_RSDT   16 /* offsets in the RSDP, and its sizes before and since ACPI 2.0 */
#define RSDP_XSDT   24
#define RSDP_OLD    20
#define RSDP_NEW    36
#define MADT_FIRST  44
#define MADT_LAPIC  0 /* types of its entries */
#define MADT_X2APIC 9
#define CPU_ENABLED 1

static bool checksum_right(const void *table, uint32_t size) {
    uint8_t sum = 0;
    for (uint32_t i = 0; i < size; i++)
        sum += ((const uint8_t *)table)[i];
    return sum == 0;
}

static uint64_t read_number(const void *from, size_t size) { /* the tables are not aligned */
    uint64_t number = 0;
    memcpy(&number, from, size);
    return number;
}

/* NULL if there is no sound table with this signature (NULL: any) at the address. */
static const struct acpi_table *table_at(uint64_t phys, const char *signature) {
    const struct acpi_table *table = map_physical(phys, sizeof(*table), PTE_WRITE | PTE_NX);
    if (!phys || !table || (signature && memcmp(table->signature, signature, 4)))
        return NULL;
    if (table->length < sizeof(*table) || table->length > TABLE_MAX ||
        !map_physical(phys, table->length, PTE_WRITE | PTE_NX))
        return NULL;
    return checksum_right(table, table->length) ? table : NULL;
}

/* In RSDT or XSDT, whose entries are addresses of 4 or 8 bytes. */
static const struct acpi_table *find_in(const struct acpi_table *root, unsigned size, const char *signature) {
    for (uint32_t at = sizeof(*root); root && at + size <= root->length; at += size) {
        const struct acpi_table *table = table_at(read_number((const char *)root + at, size), signature);
        if (table)
            return table;
    }
    return NULL;
}

/* The copy of the RSDP that the boot loader has made, if it is sound. */
static const char *find_rsdp(const struct multiboot2_info *info, uint32_t type, uint32_t size) {
    const struct multiboot2_tag *tag = multiboot2_find(info, type, NULL);
    bool sound = tag && tag->size >= sizeof(*tag) + size && checksum_right(tag + 1, size);
    return sound ? (const char *)(tag + 1) : NULL;
}

const struct acpi_table *acpi_find_madt(const struct multiboot2_info *info) {
    const struct acpi_table *madt = NULL;
    const char *rsdp = find_rsdp(info, MULTIBOOT2_RSDP_NEW, RSDP_NEW);
    if (rsdp)
        madt = find_in(table_at(read_number(rsdp + RSDP_XSDT, 8), "XSDT"), 8, "APIC");
    if (!rsdp)
        rsdp = find_rsdp(info, MULTIBOOT2_RSDP_OLD, RSDP_OLD);
    if (rsdp && !madt)
        madt = find_in(table_at(read_number(rsdp + RSDP_RSDT, 4), "RSDT"), 4, "APIC");
    if (!madt)
        printk("acpi: %s; only this CPU is used\n", rsdp ? "no sound MADT" : "the boot loader gave no sound RSDP");
    return madt;
}

bool madt_next_cpu(const struct acpi_table *madt, uint32_t *offset, uint32_t *apic_id) {
    if (!*offset)
        *offset = MADT_FIRST;
    while (*offset + 2 <= madt->length) {
        const uint8_t *entry = (const uint8_t *)madt + *offset;
        if (entry[1] < 2 || entry[1] > madt->length - *offset)
            return false; /* behind a wrong length nothing can be found */
        *offset += entry[1];
        bool lapic = entry[0] == MADT_LAPIC && entry[1] >= 8, x2apic = entry[0] == MADT_X2APIC && entry[1] >= 16;
        if ((lapic && entry[4] & CPU_ENABLED) || (x2apic && entry[8] & CPU_ENABLED)) {
            *apic_id = lapic ? entry[3] : (uint32_t)read_number(entry + 4, 4);
            return true;
        }
    }
    return false;
}
