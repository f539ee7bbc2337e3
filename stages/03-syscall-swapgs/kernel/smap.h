/* smap.h: the switch of supervisor-mode access prevention: while AC is clear, ring 0 cannot touch a program's pages.
 * SPDX-License-Identifier: MIT
 *
 * STAC and CLAC are #UD on a CPU without SMAP. So the image has a NOP of the same length in their place, and notes
 * where; protect.c writes the real instructions once, before the text becomes busy with other CPUs. */
#pragma once
/* clang-format off */

#ifdef __ASSEMBLER__
.macro SMAP_PATCH opcode
770:
    nop     dword ptr [rax]         /* 3 bytes, as CLAC and STAC */
    .pushsection .smap_patches, "a"
    .quad   770b
    .quad   \opcode
    .popsection
.endm

/* In memory order: 0f 01 ca is CLAC, 0f 01 cb is STAC. */
#define CLAC SMAP_PATCH 0xca010f
#define STAC SMAP_PATCH 0xcb010f
#endif
