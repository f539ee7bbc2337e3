/* acpi.c: finds the MADT and reads it. Called by smp.c; every length in the tables is checked before it is used.
 * SPDX-License-Identifier: MIT
 *
 * Source: ACPI Specification, "Root System Description Pointer (RSDP)". */
#include <kernel/smp.h>

/* Offsets in the RSDP, and its sizes before and since ACPI 2.0. */
enum { RSDP_RSDT = 16, RSDP_XSDT = 24, RSDP_OLD = 20, RSDP_NEW = 36 };

/* The largest table that is looked at; the first entry of the MADT, the type of those that count, and a flag in them.
 * (Type 9 has the CPUs beyond id 254, which only x2APIC mode can reach.) */
enum { TABLE_MAX = 0x10000, MADT_FIRST = 44, MADT_LAPIC = 0, CPU_ENABLED = 1 };

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

/* NULL if there is no sound table with this signature at the address. */
static const struct acpi_table *table_at(uint64_t phys, const char *signature) {
    const struct acpi_table *table = phys ? map_physical(phys, sizeof(*table), PTE_WRITE | PTE_NX) : NULL;
    bool sound = table && memcmp(table->signature, signature, 4) == 0 && table->length >= sizeof(*table) &&
                 table->length <= TABLE_MAX && map_physical(phys, table->length, PTE_WRITE | PTE_NX) &&
                 checksum_right(table, table->length);
    return sound ? table : NULL;
}

/* Finds the MADT in RSDT or XSDT, whose entries are addresses of 4 or 8 bytes. */
static const struct acpi_table *find_madt(const struct acpi_table *root, unsigned size) {
    const struct acpi_table *madt = NULL;
    for (uint32_t at = sizeof(*root); root && !madt && at + size <= root->length; at += size)
        madt = table_at(read_number((const char *)root + at, size), "APIC");
    return madt;
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
        madt = find_madt(table_at(read_number(rsdp + RSDP_XSDT, 8), "XSDT"), 8);
    rsdp = rsdp ? rsdp : find_rsdp(info, MULTIBOOT2_RSDP_OLD, RSDP_OLD);
    if (rsdp && !madt)
        madt = find_madt(table_at(read_number(rsdp + RSDP_RSDT, 4), "RSDT"), 4);
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
        if (entry[0] == MADT_LAPIC && entry[1] >= 8 && entry[4] & CPU_ENABLED) {
            *apic_id = entry[3];
            return true;
        }
    }
    return false;
}
