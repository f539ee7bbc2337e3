/* paranoid_entry.S: an entry that looks at the base of GS itself: the kernel's addresses have the top bit set, and a
 * program can have no such base, since arch_prctl() refuses it and FSGSBASE is off. It remembers whether it swapped.
 * SPDX-License-Identifier: MIT */
#include <kernel/asm.h>
#include <kernel/pcr.h>
#include <kernel/smap.h>
#include <kernel/trap_frame.h>
#include <kernel/x86.h>

FUNCTION(paranoid_entry)
        cld
        CLAC
        PUSH_REGISTERS
        mov     ecx, MSR_GS_BASE
        rdmsr
        mov     ebx, 1                  /* no SWAPGS owed; C keeps rbx */
        test    edx, edx
        js      1f
        xor     ebx, ebx
        swapgs
1:      lfence                          /* CVE-2019-1125 */
        mov     rdi, rsp
        call    paranoid
        test    ebx, ebx
        jnz     2f
        swapgs
2:      POP_REGISTERS
        add     rsp, FRAME_RIP - FRAME_VECTOR
        iretq

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
