/* iretq.c: an IRETQ to ring 3 that faults does so with the program's GS, and the entry sees to it. No program can make
 * the kernel build such a frame; so the frame is forged here.
 * SPDX-License-Identifier: MIT */
#include <proof/selftest.h>
#include <kernel/smp.h>
#include <test/handlers.h>

extern char iretq_to_user[] __asm__("interrupt_return.step3");
extern char leave_by_failed[];
extern uint64_t leave_by_rsp;
void leave_by(struct trap_frame *frame);

#define PROGRAMS_GS 0x7f0000003000

static struct trap_frame forged, fault;
static uint64_t gs_in_handler, count;

static bool go_on(struct trap_frame *frame) {
    count++;
    fault = *frame;
    gs_in_handler = rdmsr(MSR_GS_BASE);
    frame->rip = (uint64_t)leave_by_failed;
    frame->rsp = leave_by_rsp;
    return true;
}

/* Leaves by the forged frame, with a GS base that is a program's. Returns the one that it has afterwards. */
static uint64_t leave(void) {
    uint64_t waiting;
    count = gs_in_handler = 0;
    wrmsr(MSR_KERNEL_GS_BASE, PROGRAMS_GS);
    trap_handle(VECTOR_GP, go_on);
    trap_handle(VECTOR_NP, go_on);
    trap_handle(VECTOR_SS, go_on);
    leave_by(&forged);
    waiting = rdmsr(MSR_KERNEL_GS_BASE);
    wrmsr(MSR_KERNEL_GS_BASE, 0);
    trap_handle(VECTOR_NP, NULL);
    trap_handle(VECTOR_SS, NULL);
    restore_handler(VECTOR_GP);
    return waiting;
}

static bool fault_was_the_iretqs(void) {
    return count == 1 && fault.rip == (uint64_t)iretq_to_user && !from_user(&fault);
}

TEST(iretq_that_faults) {
    struct pcr *pcr = this_cpu->self;
    forged = (struct trap_frame){
        .rip = 0x401000, .cs = SEL_USER_CODE, .rflags = RFLAGS_ONE, .rsp = 0x500000, .ss = SEL_KERNEL_DATA};
    uint64_t waiting = leave();
    ok(fault_was_the_iretqs(), "a stack segment of ring 0 is refused by the labelled IRETQ, in ring 0");
    /* mutant kernel/entry_macros.h: jne 2f => jmp 2f */
    ok(gs_in_handler == (uint64_t)pcr, "its handler has the PCR, though CS said ring 0");
    ok(waiting == PROGRAMS_GS, "and the program's GS base waits, as it should");
    ok(rdmsr(MSR_GS_BASE) == (uint64_t)pcr, "the kernel goes on with the PCR");
    forged.ss = SEL_USER_DATA;
    forged.cs = 0x103;
    waiting = leave();
    ok(fault_was_the_iretqs() && gs_in_handler == (uint64_t)pcr && waiting == PROGRAMS_GS,
       "the same for a code segment that does not exist");
}
