/* paranoid_entry.S: into the kernel by the vectors that strike anywhere: NMI, #DF, #MC, and #DB. The stubs of
 * trap_entry.S come here, on an IST stack.
 * SPDX-License-Identifier: MIT
 *
 * Between SYSCALL and SWAPGS, and between the last SWAPGS and SYSRET or IRET, the CPU is in ring 0 with the user's GS.
 * So this entry asks nobody whose GS it is: it saves whatever base there is, loads the PCR's, and restores what it
 * found. The PCR's address it takes from the one place that is certainly this CPU's: the top of its own IST stack.
 *
 *      +------------------+  16-byte aligned
 *      | stack in use?    |
 *      | address of PCR   |  <- tss.ist[n]; put there by paranoid_set_stacks()
 *      +------------------+
 *      | struct trap_frame|
 *      +------------------+  <- RSP when C is called */
#include <kernel/asm.h>
#include <kernel/pcr.h>
#include <kernel/smap.h>
#include <kernel/trap_frame.h>
#include <kernel/x86.h>

/* In:   ring 0, IF=0, IST stack with vector, error and the CPU's frame; GS = USER or the PCR; DF, AC whoever's.
 * Out:  everything as it was, GS base to the bit; only NMI and #DB of ring 0 return. */
FUNCTION(paranoid_entry)
                          cld
                          CLAC
                          PUSH_REGISTERS
STEP(paranoid_entry, 2)   mov     ecx, MSR_GS_BASE
                          rdmsr
                          mov     ebx, eax                    /* the base that was interrupted; C keeps rbx and r12 */
                          mov     r12d, edx
STEP(paranoid_entry, 3)   mov     eax, [rsp + FRAME_SIZE]
                          mov     edx, [rsp + FRAME_SIZE + 4]
                          wrmsr                               /* GS = the PCR; no branch decides, none can be wrong */
                          mov     r13, cr3                    /* either of two; C keeps r13 too */
                          mov     rax, gs:[PCR_TASK_CR3]
                          mov     cr3, rax
STEP(paranoid_entry, 4)   mov     rdi, rsp
                          call    paranoid
STEP(paranoid_entry, 5)   mov     cr3, r13
                          mov     eax, ebx
                          mov     edx, r12d
                          mov     ecx, MSR_GS_BASE
                          wrmsr
                          POP_REGISTERS
                          add     rsp, FRAME_RIP - FRAME_VECTOR
STEP(paranoid_entry, 6)   iretq

/* NMI and #DB. A saved CS of ring 3 can be trusted: GS is the user's, for certain. And the ordinary way must be taken
 * back to ring 3: a #DB may end the task, which must not happen on an IST stack, and either may have struck where the
 * program ran off its end, so that no IRET can lead back. So the frame moves to the task's own stack, and all goes on
 * as for any other exception.
 * In:   as paranoid_entry.
 * Out:  from ring 3: interrupt_entry.step2, on the stack of tss.rsp0, GS = the PCR. From ring 0: paranoid_entry. */
FUNCTION(ist_entry)
                          test    byte ptr [rsp + FRAME_CS - FRAME_VECTOR], 3
                          jz      paranoid_entry
                          swapgs
                          lfence                              /* CVE-2019-1125 */
                          CLAC
STEP(ist_entry, 2)        push    rdi
                          mov     rdi, gs:[PCR_TASK_CR3]
                          mov     cr3, rdi
                          lea     rdi, [rsp + 8 - FRAME_VECTOR]  /* where a whole frame with this vector would begin */
                          mov     rsp, gs:[PCR_TSS_RSP0]
                          push    qword ptr [rdi + FRAME_SS]
                          push    qword ptr [rdi + FRAME_RSP]
                          push    qword ptr [rdi + FRAME_RFLAGS]
                          push    qword ptr [rdi + FRAME_CS]
                          push    qword ptr [rdi + FRAME_RIP]
                          push    0                           /* frame.error: neither has one */
                          push    qword ptr [rdi + FRAME_VECTOR]
                          mov     rdi, [rdi + FRAME_VECTOR - 8]
                          jmp     interrupt_entry.step2
