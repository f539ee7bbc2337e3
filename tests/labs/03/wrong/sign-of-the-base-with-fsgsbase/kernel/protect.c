/* protect.c: turns on the CPU's protections. Called by main.c, and by each CPU of stage 05.
 * SPDX-License-Identifier: MIT
 *
 * Sources: SDM 3A, "Control Registers" and "Supervisor-Mode Access Prevention". FSGSBASE is on: a program can set its
 * GS base to anything, without the kernel's knowing. */
#include <kernel/kernel.h>
#include <kernel/protect.h>

#define CR4_FSGSBASE (1 << 16)

bool smap; /* for smap.h; the same on all CPUs */

void protect_init(void) {
    uint64_t cr4 = CR4_PAE | CR4_MCE; /* a machine check is #MC, not a shutdown; all that is not named here is off */
    if (cpu_has(CPU_SMEP))
        cr4 |= CR4_SMEP; /* ring 0 executes no program's page */
    smap = cpu_has(CPU_SMAP);
    if (smap)
        cr4 |= CR4_SMAP; /* ring 0 touches no program's page while AC is clear */
    if (cpu_has(CPU_UMIP))
        cr4 |= CR4_UMIP; /* ring 3 does not learn where GDT, IDT and TSS lie */
    if (cpu_has(CPU_FSGSBASE))
        cr4 |= CR4_FSGSBASE; /* RDGSBASE and WRGSBASE, in every ring */
    /* For programs: FXSAVE saves XMM too, and SIMD errors come as #XM, not #UD; x87 errors come as #MF, and AC in ring
     * 3 means alignment checks. */
    write_cr4(cr4 | CR4_OSFXSR | CR4_OSXMMEXCPT);
    write_cr0(read_cr0() | CR0_MP | CR0_AM);
}
