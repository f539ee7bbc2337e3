/* hostile.c: what the programs of the sweep of NMIs need of ring 0: no timer, which would strike as well; FSGSBASE, so
 * that they can give GS any base; and #DB where they want it.
 * tools/sweeping/nmis.py lays it on the last stage, which it leaves as it is.
 * SPDX-License-Identifier: MIT */
#include <kernel/lapic.h>
#include <kernel/pcr.h>
#include <proof/proof.h>

enum { VECTOR_PREPARE = 0x85, VECTOR_RAISE = 0x86 };
enum { WITH_FSGSBASE = 1, BREAK_AT_ENTRY = 2, WATCH = 4 }; /* in hostile.c of user/ as well */

#define CR4_FSGSBASE (1ul << 16)

/* DR7. Source: SDM 3B, "Debug Control Register". */
#define DR7_BREAK_0 0x1ul      /* DR0 holds the address of an instruction */
#define DR7_WATCH_1 0xf00004ul /* DR1 holds that of 4 bytes, which are not to be read or written */

extern char syscall_entry[];

/* In: rdi = what the program wants; rsi = the address for WATCH. Out: rax = where the PCR is. */
static bool prepare(struct trap_frame *frame) {
    lapic_write(LAPIC_LVT_TIMER, LVT_MASKED);
    if (frame->rdi & WITH_FSGSBASE)
        write_cr4(read_cr4() | CR4_FSGSBASE);
    uint64_t dr7 = (frame->rdi & BREAK_AT_ENTRY ? DR7_BREAK_0 : 0) | (frame->rdi & WATCH ? DR7_WATCH_1 : 0);
    __asm__ volatile("mov dr0, %0" : : "r"(syscall_entry));
    __asm__ volatile("mov dr1, %0" : : "r"(frame->rsi));
    __asm__ volatile("mov dr7, %0" : : "r"(dr7));
    frame->rax = (uint64_t)this_cpu->self;
    return true;
}

/* #DB in ring 0 with the program's GS, as at the first instruction of syscall_entry, for the emulator that cannot. */
static bool raise_debug(struct trap_frame *frame) {
    __asm__ volatile(".globl debug_in_kernel, behind_debug_in_kernel\n\t"
                     "swapgs\n"
                     "debug_in_kernel:\n\t"
                     "int 1\n"
                     "behind_debug_in_kernel:\n\t"
                     "swapgs"
                     :
                     :
                     : "memory");
    return true;
}

/* The kernel's own lets a program's single step end the program. Here it goes on; and an instruction at which it broke
 * is executed, for which RF is made. */
static bool pass_over_debug(struct trap_frame *frame) {
    write_dr6(0);
    if (from_user(frame))
        frame->rflags &= ~(uint64_t)RFLAGS_TF;
    else
        frame->rflags |= RFLAGS_RF;
    return true;
}

static bool nothing(struct trap_frame *frame) { return true; }

static void hostile_init(void) {
    trap_handle(VECTOR_PREPARE, prepare);
    trap_handle(VECTOR_RAISE, raise_debug);
    idt_allow_user(VECTOR_PREPARE);
    idt_allow_user(VECTOR_RAISE);
    trap_handle(VECTOR_DB, pass_over_debug);
    trap_handle(VECTOR_BP, nothing);
}

PROOF(NULL, hostile_init);
