/* paranoid_entry.S: into the kernel by the vectors that strike anywhere: NMI, #DF, #MC, and #DB. The stubs of
 * trap_entry.S come here, on an IST stack. Lab 03: yours to write.
 * SPDX-License-Identifier: MIT
 *
 * Between SYSCALL and SWAPGS, and between the last SWAPGS and SYSRET or IRET, the CPU is in ring 0 with the user's GS.
 * So this entry cannot ask the saved CS whose GS it is. The PCR's address is in the one place that is certainly this
 * CPU's: the top of its own IST stack.
 *
 *      +------------------+  16-byte aligned
 *      | stack in use?    |  paranoid()'s
 *      | address of PCR   |  <- tss.ist[n]; put there by paranoid_set_stacks()
 *      +------------------+
 *      | struct trap_frame|
 *      +------------------+  <- RSP when C is called */
#include <kernel/asm.h>
#include <kernel/entry_macros.h>
#include <kernel/pcr.h>
#include <kernel/smap.h>
#include <kernel/trap_frame.h>
#include <kernel/x86.h>

/* #DF and #MC come here from their stubs; NMI and #DB by way of ist_entry. Calls void paranoid(struct trap_frame *).
 * In:   ring 0, IF=0, IST stack with vector, error and the CPU's frame; GS = USER or the PCR; DF, AC whoever's.
 * Out:  everything as it was, GS base to the bit; only NMI and #DB of ring 0 return. */
FUNCTION(paranoid_entry)
                          NOT_WRITTEN_TRAP "paranoid_entry"

/* NMI and #DB. A saved CS of ring 3 can be trusted, and then the way back must be the ordinary one: a #DB may end the
 * task, which must not happen on an IST stack. So the frame moves to the task's own stack, and all goes on as for any
 * other exception.
 * In:   as paranoid_entry.
 * Out:  from ring 3: interrupt_entry.step2, on the stack of tss.rsp0 with vector, error and the CPU's frame, GS = the
 *       PCR, AC=0, all registers the program's. From ring 0: paranoid_entry. */
FUNCTION(ist_entry)
                          NOT_WRITTEN_TRAP "ist_entry"
