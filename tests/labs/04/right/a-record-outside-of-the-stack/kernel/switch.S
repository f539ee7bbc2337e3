/* switch.S: the registers of a task that does not run lie in a record of its own, not on its stack. What task->rsp holds
 * is the record's address, which never changes.
 * SPDX-License-Identifier: MIT */
#include <kernel/asm.h>

/* As struct record in sched.c has them. */
#define AT_RBX    0
#define AT_RBP    8
#define AT_R12    16
#define AT_R13    24
#define AT_R14    32
#define AT_R15    40
#define AT_RFLAGS 48
#define AT_RSP    56
#define AT_RIP    64

FUNCTION(switch_stacks)
                          pop     rdx                         /* where this task goes on */
                          pushfq
                          pop     rcx
                          mov     rax, [rdi]
                          mov     [rax + AT_RIP], rdx
                          mov     [rax + AT_RSP], rsp
                          mov     [rax + AT_RFLAGS], rcx
                          mov     [rax + AT_RBX], rbx
                          mov     [rax + AT_RBP], rbp
                          mov     [rax + AT_R12], r12
                          mov     [rax + AT_R13], r13
                          mov     [rax + AT_R14], r14
                          mov     [rax + AT_R15], r15
                          mov     rsp, [rsi + AT_RSP]
                          push    qword ptr [rsi + AT_RFLAGS]
                          popfq
                          mov     rbx, [rsi + AT_RBX]
                          mov     rbp, [rsi + AT_RBP]
                          mov     r12, [rsi + AT_R12]
                          mov     r13, [rsi + AT_R13]
                          mov     r14, [rsi + AT_R14]
                          mov     r15, [rsi + AT_R15]
                          jmp     qword ptr [rsi + AT_RIP]
