/* cpu_features.c: what this CPU can do. Asked before each feature is turned on; called first by main.c.
 * SPDX-License-Identifier: MIT
 *
 * Source: SDM 2A, "CPUID - CPU Identification". Intel shows the SYSCALL bit only in 64-bit mode, where we are. */
#include <kernel/kernel.h>

enum { EAX, EBX, ECX, EDX };

static const struct {
    const char *name; /* with a blank before it, for the list */
    uint32_t leaf;
    uint8_t reg, bit;
} features[] = {
    [CPU_APIC] = {" apic", 1, EDX, 9},       [CPU_FXSR] = {" fxsr", 1, EDX, 24},
    [CPU_NX] = {" nx", 0x80000001, EDX, 20}, [CPU_SYSCALL] = {" syscall", 0x80000001, EDX, 11},
    [CPU_SMEP] = {" smep", 7, EBX, 7},       [CPU_SMAP] = {" smap", 7, EBX, 20},
    [CPU_UMIP] = {" umip", 7, ECX, 2},       [CPU_FSGSBASE] = {" fsgsbase", 7, EBX, 0},
};

bool cpu_has(enum cpu_feature feature) {
    uint32_t leaf = features[feature].leaf, registers[4];
    cpuid(leaf & 0x80000000, registers);
    if (leaf > registers[EAX])
        return false; /* beyond the highest leaf of its range a CPU answers with something else, not with zeros */
    cpuid(leaf, registers);
    return registers[features[feature].reg] >> features[feature].bit & 1;
}

void cpu_features_check(void) {
    uint32_t id[4];
    char list[80] = "", *end = list;
    for (enum cpu_feature f = 0; f < ARRAY_LENGTH(features); f++) {
        bool has = cpu_has(f);
        if (!has && f <= CPU_SYSCALL)
            panic("this CPU has no%s, and ringstep needs it", features[f].name);
        for (const char *c = has ? features[f].name : ""; *c; c++)
            *end++ = *c;
    }
    cpuid(0, id);
    uint32_t vendor[4] = {id[EBX], id[EDX], id[ECX], 0};
    printk("cpu: %s:%s\n", (const char *)vendor, list);
}
