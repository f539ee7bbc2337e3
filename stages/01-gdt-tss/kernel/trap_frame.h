/* trap_frame.h: what a program was doing when it entered the kernel, whichever way it came.
 * SPDX-License-Identifier: MIT
 *
 * Every entry builds this one frame, so what one way in has saved another way out can restore:
 *
 *        higher addresses
 *      +------------------+  <- tss.rsp0 when it came from ring 3
 *      | ss               |  \
 *      | rsp              |   |
 *      | rflags           |   | pushed by the CPU (SDM 3A, "Stack Frame" in 64-bit mode),
 *      | cs               |   | or by syscall_entry in its place
 *      | rip              |  /
 *      | error            |  by the CPU for some vectors, else 0 by the stub
 *      | vector           |  by the stub
 *      | rdi ... r8       |  \  the registers that a C function may change
 *      | r9, r10, r11     |   | by the entry
 *      | rbx, rbp         |   |
 *      | r12 ... r15      |  /  the registers that C keeps
 *      +------------------+  <- RSP when C is called: 22 words, so 16-byte aligned
 *        lower addresses */
#pragma once

#define FRAME_VECTOR 120
#define FRAME_RIP    136
#define FRAME_CS     144
#define FRAME_RFLAGS 152
#define FRAME_RSP    160
#define FRAME_SS     168
#define FRAME_SIZE   176

/* The vector of a frame that no interrupt made. */
#define VECTOR_SYSCALL 256

#ifdef __ASSEMBLER__
/* All registers below the vector. */
.macro PUSH_REGISTERS
    push    rdi
    push    rsi
    push    rdx
    push    rcx
    push    rax
    push    r8
    push    r9
    push    r10
    push    r11
    push    rbx
    push    rbp
    push    r12
    push    r13
    push    r14
    push    r15
.endm

.macro POP_REGISTERS
    pop     r15
    pop     r14
    pop     r13
    pop     r12
    pop     rbp
    pop     rbx
    pop     r11
    pop     r10
    pop     r9
    pop     r8
    pop     rax
    pop     rcx
    pop     rdx
    pop     rsi
    pop     rdi
.endm
#else
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct trap_frame {
    uint64_t r15, r14, r13, r12, rbp, rbx;
    uint64_t r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    uint64_t vector, error;
    uint64_t rip, cs, rflags, rsp, ss;
};

_Static_assert(offsetof(struct trap_frame, vector) == FRAME_VECTOR, "trap_frame.h");
_Static_assert(offsetof(struct trap_frame, rip) == FRAME_RIP, "trap_frame.h");
_Static_assert(offsetof(struct trap_frame, cs) == FRAME_CS, "trap_frame.h");
_Static_assert(offsetof(struct trap_frame, rflags) == FRAME_RFLAGS, "trap_frame.h");
_Static_assert(offsetof(struct trap_frame, rsp) == FRAME_RSP, "trap_frame.h");
_Static_assert(offsetof(struct trap_frame, ss) == FRAME_SS, "trap_frame.h");
_Static_assert(sizeof(struct trap_frame) == FRAME_SIZE, "trap_frame.h");
_Static_assert(FRAME_SIZE % 16 == 0, "C wants RSP 16-byte aligned at a call");

/* The low bits of the saved CS are the ring that was interrupted. */
static inline bool from_user(const struct trap_frame *frame)
{
    return frame->cs & 3;
}
#endif
