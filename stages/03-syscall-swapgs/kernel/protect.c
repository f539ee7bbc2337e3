/* protect.c: turns on the CPU's protections. Called by main.c, and by each CPU of stage 05.
 * SPDX-License-Identifier: MIT
 *
 * Sources: SDM 3A, "Control Registers" and "Supervisor-Mode Access Prevention". FSGSBASE stays off: with it programs
 * could set GS base without the kernel's knowing. */
#include <kernel/kernel.h>
#include <kernel/protect.h>

extern const struct smap_patch {
    uint8_t *at;
    uint64_t opcode; /* its first three bytes */
} smap_patches_start[], smap_patches_end[];

void protect_patch_text(void) {
    if (!cpu_has(CPU_SMAP))
        return;
    /* No page is ever writable and executable; for these few stores the CPU ignores the tables' write bits instead. */
    write_cr0(read_cr0() & ~(uint64_t)CR0_WP);
    for (const struct smap_patch *patch = smap_patches_start; patch < smap_patches_end; patch++)
        memcpy(patch->at, &patch->opcode, 3);
    write_cr0(read_cr0() | CR0_WP); /* serializes, too: nothing of the old text is left in the pipeline */
}

void protect_init(void) {
    uint64_t cr4 = read_cr4();
    if (cpu_has(CPU_SMEP))
        cr4 |= CR4_SMEP; /* ring 0 executes no program's page */
    if (cpu_has(CPU_SMAP))
        cr4 |= CR4_SMAP; /* ring 0 touches no program's page while AC is clear */
    if (cpu_has(CPU_UMIP))
        cr4 |= CR4_UMIP; /* ring 3 does not learn where GDT, IDT and TSS lie */
    /* For programs: FXSAVE saves XMM too, and SIMD errors come as #XM, not #UD; x87 errors come as #MF, and AC in ring
     * 3 means alignment checks. */
    write_cr4(cr4 | CR4_OSFXSR | CR4_OSXMMEXCPT);
    write_cr0((read_cr0() & ~(uint64_t)(CR0_EM | CR0_TS)) | CR0_MP | CR0_NE | CR0_AM);
}
