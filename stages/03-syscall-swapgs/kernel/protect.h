/* protect.h: what the CPU itself can do against mistakes of the kernel, where it has it.
 * SPDX-License-Identifier: MIT */
#pragma once

/* Writes STAC and CLAC into the text. Once, on the boot CPU, after paging_init() and before any other CPU starts. */
void protect_patch_text(void);

/* Turns on SMEP, SMAP, UMIP and alignment checks for ring 3. On every CPU. */
void protect_init(void);
