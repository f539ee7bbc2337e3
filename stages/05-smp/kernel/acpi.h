/* acpi.h: which CPUs there are, as the firmware tells it.
 * SPDX-License-Identifier: MIT */
#pragma once
#include <kernel/kernel.h>

/* A table of the firmware's; its length and checksum are right. Sources: ACPI Specification, "System Description Table
 * Header" and "Multiple APIC Description Table (MADT)". */
struct acpi_table {
    char signature[4];
    uint32_t length;
    uint8_t revision, checksum, oem[26];
};

/* The MADT, or NULL with a line that says what is wrong. */
const struct acpi_table *acpi_find_madt(const struct multiboot2_info *info);

/* The APIC id of the next CPU that may be started. *offset is 0 at first. False at the end of the table. */
bool madt_next_cpu(const struct acpi_table *madt, uint32_t *offset, uint32_t *apic_id);
