/* cpu_features.c: what this CPU can do. Asked before each feature is turned on; called first by main.c.
 * SPDX-License-Identifier: MIT
 *
 * Source: SDM 2A, "CPUID - CPU Identification". Intel shows the SYSCALL bit only in 64-bit mode, where we are. */
#include <kernel/cpu_features.h>
#include <kernel/panic.h>
#include <kernel/printk.h>
#include <kernel/string.h>
#include <kernel/x86.h>
#include <stddef.h>

static const struct {
    const char *name;
    uint32_t leaf;
    uint8_t offset; /* of the register in struct cpuid */
    uint8_t bit;
} features[CPU_FEATURES] = {
    [CPU_APIC] = {"apic", 1, offsetof(struct cpuid, edx), 9},
    [CPU_FXSR] = {"fxsr", 1, offsetof(struct cpuid, edx), 24},
    [CPU_NX] = {"nx", 0x80000001, offsetof(struct cpuid, edx), 20},
    [CPU_SYSCALL] = {"syscall", 0x80000001, offsetof(struct cpuid, edx), 11},
    [CPU_SMEP] = {"smep", 7, offsetof(struct cpuid, ebx), 7},
    [CPU_SMAP] = {"smap", 7, offsetof(struct cpuid, ebx), 20},
    [CPU_UMIP] = {"umip", 7, offsetof(struct cpuid, ecx), 2},
    [CPU_FSGSBASE] = {"fsgsbase", 7, offsetof(struct cpuid, ebx), 0},
    [CPU_X2APIC] = {"x2apic", 1, offsetof(struct cpuid, ecx), 21},
};

bool cpu_has(enum cpu_feature feature)
{
    uint32_t leaf = features[feature].leaf, registers[4];
    /* Beyond the highest leaf of its range a CPU answers with something else, not with zeros. */
    if (leaf > cpuid(leaf & 0x80000000, 0).eax)
        return false;
    struct cpuid answer = cpuid(leaf, 0);
    memcpy(registers, &answer, sizeof(registers));
    return registers[features[feature].offset / 4] >> features[feature].bit & 1;
}

void cpu_features_check(void)
{
    char list[80] = "", *end = list;
    struct cpuid vendor = cpuid(0, 0);
    for (unsigned f = 0; f < CPU_FEATURES; f++) {
        if (f <= CPU_LAST_REQUIRED && !cpu_has(f))
            panic("this CPU has no %s, and ringstep needs it", features[f].name);
        if (!cpu_has(f))
            continue;
        *end++ = ' ';
        memcpy(end, features[f].name, strlen(features[f].name));
        end += strlen(features[f].name);
    }
    char name[13] = {0};
    memcpy(name, &vendor.ebx, 4);
    memcpy(name + 4, &vendor.edx, 4);
    memcpy(name + 8, &vendor.ecx, 4);
    printk("cpu: %s:%s\n", name, list);
}
