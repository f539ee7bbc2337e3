/* pcr.c: GS base is the PCR of this CPU, and stays it.
 * SPDX-License-Identifier: MIT */
#include <kernel/kernel.h>
#include <kernel/pcr.h>
#include <proof/selftest.h>
#include <test/catch.h>

static uint64_t word_at_gs(uint64_t offset) {
    uint64_t word;
    __asm__ volatile("mov %0, gs:[%1]" : "=r"(word) : "r"(offset) : "memory");
    return word;
}

TEST(gs_base) {
    struct pcr *pcr = this_cpu->self;
    ok(rdmsr(MSR_GS_BASE) == (uint64_t)pcr, "it is the PCR's address, which its first word says too");
    ok((uint64_t)pcr % PAGE_SIZE == 0, "the PCR begins a page");
    /* mutant kernel/cpu.c: wrmsr(MSR_KERNEL_GS_BASE, 0); => wrmsr(MSR_KERNEL_GS_BASE, (uint64_t)pcr); */
    ok(rdmsr(MSR_KERNEL_GS_BASE) == 0, "what SWAPGS would give is not the PCR");
    catch_begin(VECTOR_BP);
    __asm__ volatile("int3" : : : "memory");
    catch_end(VECTOR_BP);
    ok(caught.count == 1 && rdmsr(MSR_GS_BASE) == (uint64_t)pcr, "an interrupt from ring 0 leaves it alone");
}

TEST(pcr_offsets) {
    struct pcr *pcr = this_cpu->self;
    uint64_t rsp0 = pcr->tss.rsp0;
    pcr->tss.rsp0 = 0x1122334455667788;
    pcr->user_rsp = 0x8877665544332211;
    ok(word_at_gs(PCR_TSS_RSP0) == 0x1122334455667788, "assembly finds tss.rsp0 where it says");
    ok(word_at_gs(PCR_USER_RSP) == 0x8877665544332211, "and user_rsp");
    ok(word_at_gs(offsetof(struct pcr, self)) == (uint64_t)pcr, "and self");
    pcr->tss.rsp0 = rsp0;
}

TEST(pcr_holds_what_the_cpu_uses) {
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) gdtr;
    struct pcr *pcr = this_cpu->self;
    __asm__ volatile("sgdt %0" : "=m"(gdtr));
    const uint64_t *d = &pcr->gdt[SEL_TSS / 8];
    ok(gdtr.base == (uint64_t)pcr->gdt, "GDTR points into it");
    ok(((d[0] >> 16 & 0xffffff) | (d[0] >> 56) << 24 | d[1] << 32) == (uint64_t)&pcr->tss, "and the TSS descriptor");
    uint64_t before = pcr->syscalls;
    this_cpu->syscalls++;
    ok(pcr->syscalls == before + 1, "this_cpu writes to it");
    pcr->syscalls = before;
}
