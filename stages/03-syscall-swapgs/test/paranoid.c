/* paranoid.c: an NMI or a #DB in ring 0 finds the PCR whatever GS base is, and leaves it as it was to the bit.
 * SPDX-License-Identifier: MIT
 *
 * The windows in which GS is the user's are a few instructions long; here they are made as long as one likes, by a GS
 * base that is not the PCR. Between the two writes nothing may use this_cpu. */
#include <kernel/kernel.h>
#include <kernel/memory.h>
#include <kernel/pcr.h>
#include <proof/selftest.h>
#include <kernel/trap.h>
#include <test/catch.h>
#include <test/handlers.h>

static const uint64_t bases[] = {0,         0x1000, 0x7fffffffffff, 0x123456789ab8, DIRECT_BASE, 0xffffffffdeadbeef,
                                 UINT64_MAX};

#define DR6_SINGLE_STEP (1 << 14) /* no #DB clears it by itself */

static struct pcr fake __attribute__((aligned(PAGE_SIZE))); /* what a program could make of its memory */

/* Raises the vector with this GS base. Returns the base that it left. */
#define RAISE(vector, base)                                                                                            \
    ({                                                                                                                 \
        struct pcr *pcr_ = this_cpu->self;                                                                             \
        wrmsr(MSR_GS_BASE, base);                                                                                      \
        __asm__ volatile("int %0" : : "i"(vector) : "memory");                                                         \
        uint64_t left_ = rdmsr(MSR_GS_BASE);                                                                           \
        wrmsr(MSR_GS_BASE, (uint64_t)pcr_);                                                                            \
        left_;                                                                                                         \
    })

TEST(nmi_with_any_gs) {
    struct pcr *pcr = this_cpu->self;
    uint64_t before = pcr->nmis, kernel_gs = rdmsr(MSR_KERNEL_GS_BASE);
    unsigned kept = 0;
    for (unsigned i = 0; i < ARRAY_LENGTH(bases); i++)
        kept += RAISE(VECTOR_NMI, bases[i]) == bases[i];
    ok(kept == ARRAY_LENGTH(bases), "GS base is as it was");
    /* mutant kernel/paranoid_entry.S: mov ecx, MSR_GS_BASE wrmsr => mov ecx, MSR_GS_BASE */
    ok(pcr->nmis == before + ARRAY_LENGTH(bases), "each was counted in the true PCR");
    ok(rdmsr(MSR_KERNEL_GS_BASE) == kernel_gs, "the other base was not touched");
}

TEST(nmi_with_a_false_pcr) {
    struct pcr *pcr = this_cpu->self;
    uint64_t before = pcr->nmis;
    fake.self = &fake;
    ok(RAISE(VECTOR_NMI, (uint64_t)&fake) == (uint64_t)&fake, "a GS base that looks like a PCR is kept as well");
    ok(!fake.nmis && pcr->nmis == before + 1, "and nothing is written to it");
}

/* All that C may change; a handler that is short does not always. */
static bool spoil(struct trap_frame *frame) {
    __asm__ volatile("mov eax, -1; mov ecx, eax; mov edx, eax" : : : "rax", "rcx", "rdx");
    return true;
}

/* By the gate of #MC, which has no handler of its own. */
TEST(handler_that_changes_registers) {
    unsigned kept = 0;
    trap_handle(VECTOR_MC, spoil);
    for (unsigned i = 0; i < ARRAY_LENGTH(bases); i++)
        kept += RAISE(VECTOR_MC, bases[i]) == bases[i];
    trap_handle(VECTOR_MC, NULL);
    /* mutant kernel/paranoid_entry.S: mov edx, r12d mov ecx, MSR_GS_BASE => mov edx, r12d */
    ok(kept == ARRAY_LENGTH(bases), "GS base is as it was");
}

TEST(debug_exception_in_ring_0) {
    unsigned kept = 0;
    for (unsigned i = 0; i < ARRAY_LENGTH(bases); i++)
        kept += RAISE(VECTOR_DB, bases[i]) == bases[i];
    ok(kept == ARRAY_LENGTH(bases), "GS base is as it was");
}

static uint64_t flags_in_handler;

static bool look_at_flags(struct trap_frame *frame) {
    flags_in_handler = read_rflags();
    this_cpu->nmis++;
    return true;
}

/* DF and AC are the interrupted code's: set in the midst of a copy, for one. */
TEST(nmi_with_any_flags) {
    uint64_t before = this_cpu->nmis, flags;
    trap_handle(VECTOR_NMI, look_at_flags);
    __asm__ volatile("pushfq\n\t"
                     "or qword ptr [rsp], %1\n\t"
                     "popfq\n\t"
                     "int 2\n\t"
                     "pushfq\n\t"
                     "pop %0\n\t"
                     "push 2\n\t"
                     "popfq"
                     : "=&r"(flags)
                     : "i"(RFLAGS_DF | RFLAGS_AC)
                     : "memory", "cc");
    restore_handler(VECTOR_NMI);
    ok((flags & (RFLAGS_DF | RFLAGS_AC)) == (RFLAGS_DF | RFLAGS_AC), "DF and AC are as they were");
    /* mutant kernel/paranoid_entry.S: cld CLAC PUSH_REGISTERS => PUSH_REGISTERS */
    ok(!(flags_in_handler & RFLAGS_DF), "DF is clear in the handler");
    ok(!(flags_in_handler & RFLAGS_AC) || !cpu_has(CPU_SMAP), "and AC, where it means something");
    ok(this_cpu->nmis == before + 1, "and the handler ran");
}

/* A gate leaves AC alone, and with it set SMAP would be off in the handler. */
TEST(interrupt_with_ac) {
    catch_begin(VECTOR_BP);
    __asm__ volatile("pushfq; or qword ptr [rsp], %0; popfq; int3; push 2; popfq" : : "i"(RFLAGS_AC) : "memory", "cc");
    catch_end(VECTOR_BP);
    ok(caught.count == 1 && caught.frame.rflags & RFLAGS_AC, "AC was set");
    /* mutant kernel/entry_macros.h: CLAC => */
    ok(!(caught.flags & RFLAGS_AC) || !cpu_has(CPU_SMAP), "it is clear in the handler, where it means something");
}

/* Two single steps: TF is set by the first POPFQ, and cleared by the second, after which the CPU traps once more. */
TEST(debug_status) {
    __asm__ volatile("pushfq; or qword ptr [rsp], %0; popfq; nop; push 2; popfq" : : "i"(RFLAGS_TF) : "memory", "cc");
    /* mutant kernel/paranoid.c: write_dr6(0); => */
    ok(!(read_dr6() & DR6_SINGLE_STEP), "#DB's handler leaves nothing for the next one to misread");
}

TEST(interrupt_stacks_know_their_pcr) {
    struct pcr *pcr = this_cpu->self;
    unsigned right = 0;
    for (unsigned i = 0; i < IST_COUNT; i++)
        right += *(struct pcr **)pcr->tss.ist[i] == pcr && pcr->tss.ist[i] % 16 == 0;
    ok(right == IST_COUNT, "the PCR's address lies at the top of each");
}
