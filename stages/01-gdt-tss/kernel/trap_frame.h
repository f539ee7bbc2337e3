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
 *      | rdi, rsi, rdx    |  \
 *      | rcx, rax         |   |
 *      | r8 ... r11       |   | by the entry: first what a C function may change,
 *      | rbx, rbp         |   | then what it keeps
 *      | r12 ... r15      |  /
 *      +------------------+  <- RSP when C is called: 22 words, so 16-byte aligned
 *        lower addresses */
#pragma once

#define FRAME_RAX    80
#define FRAME_VECTOR 120
#define FRAME_RIP    136
#define FRAME_CS     (FRAME_RIP + 8) /* from here on as the CPU pushes them */
#define FRAME_RFLAGS (FRAME_RIP + 16)
#define FRAME_RSP    (FRAME_RIP + 24)
#define FRAME_SS     (FRAME_RIP + 32)
#define FRAME_SIZE   (FRAME_SS + 8)

/* The vector of a frame that no interrupt made. */
#define VECTOR_SYSCALL 256

#ifdef __ASSEMBLER__
/* clang-format off */
/* All registers below the vector, in the order of the drawing. */
.macro PUSH_REGISTERS
    .irp register, rdi, rsi, rdx, rcx, rax, r8, r9, r10, r11, rbx, rbp, r12, r13, r14, r15
    push    \register
    .endr
.endm

.macro POP_REGISTERS
    .irp register, r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi
    pop     \register
    .endr
.endm
/* clang-format on */
#else
#include <kernel/kernel.h>

struct trap_frame {
    uint64_t r15, r14, r13, r12, rbp, rbx;
    uint64_t r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    uint64_t vector, error;
    uint64_t rip, cs, rflags, rsp, ss;
};

_Static_assert(offsetof(struct trap_frame, rax) == FRAME_RAX, "trap_frame.h");
_Static_assert(offsetof(struct trap_frame, vector) == FRAME_VECTOR, "trap_frame.h");
_Static_assert(offsetof(struct trap_frame, rip) == FRAME_RIP, "trap_frame.h");
_Static_assert(sizeof(struct trap_frame) == FRAME_SIZE, "trap_frame.h");
_Static_assert(FRAME_SIZE % 16 == 0, "C wants RSP 16-byte aligned at a call");

/* The low bits of the saved CS are the ring that was interrupted. */
static inline bool from_user(const struct trap_frame *frame) { return frame->cs & 3; }
#endif
