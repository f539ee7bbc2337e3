/* catch.h: faults on purpose, in ring 0.
 * SPDX-License-Identifier: MIT */
#pragma once
#include <kernel/trap.h>

/* What the handler has seen. */
struct caught {
    unsigned count;
    struct trap_frame frame;
    uint64_t frame_at, cr2, flags; /* where the frame lay; RFLAGS in the handler */
};

extern struct caught caught;
extern uint64_t catch_resume; /* where the handler sends the interrupted code; 0: back to where it was */

void catch_begin(unsigned vector);
void catch_end(unsigned vector);

/* Runs instructions that raise the vector, and goes on behind them. They may use rax, rcx and rdx, and move rsp. */
#define CATCH(vector, instructions, ...)                                                                               \
    do {                                                                                                               \
        catch_begin(vector);                                                                                           \
        __asm__ volatile("lea rax, [rip + 990f]\n\t"                                                                   \
                         "mov %[resume], rax\n\t"                                                                      \
                         "mov r8, rsp\n\t" instructions "\n"                                                           \
                         "990: mov rsp, r8"                                                                            \
                         : [resume] "=m"(catch_resume)                                                                 \
                         : __VA_ARGS__                                                                                 \
                         : "rax", "rcx", "rdx", "r8", "memory", "cc");                                                 \
        catch_end(vector);                                                                                             \
    } while (0)
