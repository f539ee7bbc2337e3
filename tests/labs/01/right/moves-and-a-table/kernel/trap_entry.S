/* trap_entry.S: stubs of any length, and a table of their addresses.
 * SPDX-License-Identifier: MIT */
#include <kernel/asm.h>
#include <kernel/trap_frame.h>

.macro EACH action
    .irp register, r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi
    \action \register
    .set PLACE, PLACE + 8
    .endr
.endm
.macro SAVE register
    mov     [rsp + PLACE], \register
.endm
.macro RESTORE register
    mov     \register, [rsp + PLACE]
.endm

.macro STUB vector
1:
    .set HAS_CODE, (\vector) == 8 || (\vector) == 17 || (\vector) == 21 || (\vector) == 29 || (\vector) == 30
    .set HAS_CODE, HAS_CODE || ((\vector) >= 10 && (\vector) <= 14)
    .if !HAS_CODE
    sub     rsp, 8
    and     qword ptr [rsp], 0
    .endif
    sub     rsp, 8
    mov     qword ptr [rsp], \vector
    jmp     all_of_them
    .pushsection .rodata.stubs, "a"
    .quad   1b
    .popsection
.endm

.pushsection .rodata.stubs, "a"
.balign 8
.globl stub_table
stub_table:
.popsection
.irp high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
.irp low, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    STUB    (16*\high+\low)
.endr
.endr

FUNCTION(interrupt_return)
    .set PLACE, 0
    EACH    RESTORE
    lea     rsp, [rsp + FRAME_RIP]
    iretq

FUNCTION(all_of_them)
    lea     rsp, [rsp - FRAME_VECTOR]
    .set PLACE, 0
    EACH    SAVE
    cld
    mov     rbx, rsp
    mov     rdi, rbx
    call    trap
    jmp     interrupt_return
