/* cpu_features.h: what this CPU can do, by CPUID.
 * SPDX-License-Identifier: MIT */
#pragma once
#include <stdbool.h>

enum cpu_feature {
    CPU_APIC,
    CPU_FXSR,
    CPU_NX,
    CPU_SYSCALL,
    CPU_LAST_REQUIRED = CPU_SYSCALL,
    CPU_SMEP,
    CPU_SMAP,
    CPU_UMIP,
    CPU_FSGSBASE,
    CPU_X2APIC,
    CPU_FEATURES
};

bool cpu_has(enum cpu_feature feature);

/* Prints vendor and features; ends the run with a message if one is missing that ringstep cannot do without. */
void cpu_features_check(void);
