/* protect.c: the registers of system calls and of the CPU's protections, as they are set.
 * SPDX-License-Identifier: MIT */
#include <kernel/gdt.h>
#include <kernel/kernel.h>
#include <proof/selftest.h>
#include <test/catch.h>

#define CR0_EM       (1 << 2)
#define CR0_TS       (1 << 3)
#define CR4_TSD      (1 << 2) /* what the kernel leaves off has no name in x86.h */
#define CR4_FSGSBASE (1 << 16)
#define EFER_LMA     (1 << 10)

extern char syscall_entry[], syscall32_entry[];

TEST(syscall_registers) {
    uint64_t star = rdmsr(MSR_STAR);
    ok((star >> 32 & 0xffff) == SEL_KERNEL_CODE, "SYSCALL loads the kernel's CS");
    ok((star >> 48) + 16 == SEL_USER_CODE && (star >> 48) + 8 == SEL_USER_DATA, "SYSRET loads ring 3's, with RPL 3");
    ok(rdmsr(MSR_LSTAR) == (uint64_t)syscall_entry, "LSTAR is syscall_entry");
    ok(rdmsr(MSR_CSTAR) == (uint64_t)syscall32_entry, "CSTAR is a stub and not address 0");
    ok(rdmsr(MSR_SFMASK) == 0x257fd5, "SYSCALL clears all flags that it can clear");
    ok(rdmsr(MSR_EFER) == (EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE), "SYSCALL is on; nothing else is in EFER");
    ok(rdmsr(MSR_SYSENTER_CS) == 0, "SYSENTER is off");
}

static bool set_as_the_cpu_has_it(enum cpu_feature feature, uint64_t bit) {
    return !(read_cr4() & bit) == !cpu_has(feature);
}

TEST(control_registers) {
    ok(set_as_the_cpu_has_it(CPU_SMEP, CR4_SMEP), "SMEP is on where there is SMEP");
    /* mutant kernel/protect.c: smap = cpu_has(CPU_SMAP); => */
    ok(set_as_the_cpu_has_it(CPU_SMAP, CR4_SMAP), "SMAP is on where there is SMAP");
    /* mutant kernel/protect.c: cr4 |= CR4_UMIP; => cr4 |= 0; */
    ok(set_as_the_cpu_has_it(CPU_UMIP, CR4_UMIP), "UMIP is on where there is UMIP");
    /* mutant kernel/protect.c: CR4_PAE | CR4_MCE => CR4_PAE */
    ok(read_cr4() & CR4_MCE, "a machine check is an exception, and not a shutdown");
    ok(!(read_cr4() & CR4_FSGSBASE), "programs cannot write FS and GS base without the kernel");
    ok(!(read_cr4() & CR4_TSD), "programs may read the time-stamp counter");
    ok((read_cr4() & (CR4_OSFXSR | CR4_OSXMMEXCPT)) == (CR4_OSFXSR | CR4_OSXMMEXCPT), "programs can use SSE");
    ok((read_cr0() & (CR0_MP | CR0_NE | CR0_AM | CR0_WP)) == (CR0_MP | CR0_NE | CR0_AM | CR0_WP),
       "x87 errors are #MF, alignment checks are possible, read-only is read-only");
    ok(!(read_cr0() & (CR0_EM | CR0_TS)), "the FPU is neither emulated nor lazy");
}

/* An interrupt gate leaves AC alone, and with it set there is no SMAP. */
TEST(flags_of_a_handler) {
    catch_begin(VECTOR_BP);
    __asm__ volatile("pushfq\n\t"
                     "or qword ptr [rsp], %0\n\t"
                     "popfq\n\t"
                     "int3\n\t"
                     "push 2\n\t"
                     "popfq"
                     :
                     : "i"(RFLAGS_AC)
                     : "memory", "cc");
    catch_end(VECTOR_BP);
    bool came_with_ac = caught.count == 1 && caught.frame.rflags & RFLAGS_AC;
    ok(came_with_ac && (!cpu_has(CPU_SMAP) || !(caught.flags & RFLAGS_AC)),
       "AC is clear in the handler, where there is SMAP");
}
