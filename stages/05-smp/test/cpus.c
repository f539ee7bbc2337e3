/* cpus.c: every CPU is set up as the first one, with its own PCR, GDT, TSS and stacks.
 * SPDX-License-Identifier: MIT */
#include <proof/selftest.h>
#include <kernel/smp.h>
#include <test/everywhere.h>
#include <test/tables.h>

#define CPUS_MAX 64

struct table_register {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed));

/* Alike on all CPUs. */
struct common {
    uint64_t cr0, cr3, cr4, efer, star, lstar, cstar, sfmask, sysenter_cs, kernel_gs;
    uint64_t idt_base, idt_limit, gdt_limit, cs, data_selectors, tr, lint1;
};

static struct common common[CPUS_MAX];
static struct own {
    uint64_t gs_base, gdt_base, flags, rsp;
    uint32_t apic_id;
    const struct pcr *pcr;
} own[CPUS_MAX];

static void record(void) {
    struct table_register gdtr, idtr;
    uint16_t cs, ss, ds, es, fs, gs, tr;
    unsigned cpu = this_cpu->cpu;
    if (cpu >= CPUS_MAX)
        return;
    __asm__ volatile("sgdt %0; sidt %1" : "=m"(gdtr), "=m"(idtr));
    __asm__ volatile("mov %0, cs; mov %1, ss; mov %2, ds; mov %3, es" : "=r"(cs), "=r"(ss), "=r"(ds), "=r"(es));
    __asm__ volatile("mov %0, fs; mov %1, gs; str %2" : "=r"(fs), "=r"(gs), "=r"(tr));
    common[cpu] = (struct common){
        .cr0 = read_cr0(),
        .cr3 = read_cr3(),
        .cr4 = read_cr4(),
        .efer = rdmsr(MSR_EFER),
        .star = rdmsr(MSR_STAR),
        .lstar = rdmsr(MSR_LSTAR),
        .cstar = rdmsr(MSR_CSTAR),
        .sfmask = rdmsr(MSR_SFMASK),
        .sysenter_cs = rdmsr(MSR_SYSENTER_CS),
        .kernel_gs = rdmsr(MSR_KERNEL_GS_BASE),
        .idt_base = idtr.base,
        .idt_limit = idtr.limit,
        .gdt_limit = gdtr.limit,
        .cs = cs,
        .data_selectors = ss | ds | es | fs | gs,
        .tr = tr,
        .lint1 = lapic_read(LAPIC_LVT_LINT1), /* an APIC that is off keeps it masked (seen in Bochs) */
    };
    own[cpu] = (struct own){.gs_base = rdmsr(MSR_GS_BASE),
                            .gdt_base = gdtr.base,
                            .flags = read_rflags(),
                            .rsp = (uint64_t)__builtin_frame_address(0),
                            .apic_id = lapic_read(LAPIC_ID) >> 24,
                            .pcr = this_cpu->self};
}

static bool own_is_right(const struct pcr *pcr, const struct own *o) {
    const uint64_t *d = &pcr->gdt[SEL_TSS / 8];
    uint64_t tss = (d[0] >> 16 & 0xffffff) | (d[0] >> 56) << 24 | d[1] << 32;
    return o->pcr == pcr && o->gs_base == (uint64_t)pcr && o->gdt_base == (uint64_t)pcr->gdt &&
           tss == (uint64_t)&pcr->tss && o->apic_id == pcr->apic_id && !(o->flags & (RFLAGS_DF | RFLAGS_AC));
}

static bool stacks_are_its_own(const struct pcr *pcr) {
    for (const struct pcr *other = smp_first; other; other = other->next)
        for (unsigned i = 0; i < IST_COUNT; i++)
            for (unsigned k = 0; k < IST_COUNT; k++)
                if ((pcr != other || i != k) && pcr->tss.ist[i] == other->tss.ist[k])
                    return false;
    for (unsigned i = 0; i < IST_COUNT; i++)
        if (*(const struct pcr **)pcr->tss.ist[i] != pcr)
            return false;
    return true;
}

TEST(all_cpus) {
    unsigned alike = 0, right = 0, stacks = 0, numbers = 0, cpus = count_cpus();
    ok(run_everywhere(record), "each one answers an interrupt");
    for (const struct pcr *pcr = smp_first; pcr; pcr = pcr->next) {
        if (pcr->cpu >= CPUS_MAX)
            continue;
        alike += memcmp(&common[pcr->cpu], &common[0], sizeof(common[0])) == 0;
        right += own_is_right(pcr, &own[pcr->cpu]);
        stacks += stacks_are_its_own(pcr);
        numbers += pcr->cpu < cpus;
    }
    /* mutant kernel/syscall_init.c: wrmsr(MSR_SFMASK, SFMASK); =>
       wrmsr(MSR_SFMASK, rdmsr(MSR_GS_BASE) >= 0xffffffff80000000 ? SFMASK : SFMASK - 1); */
    ok(alike == cpus, "control registers, MSRs, IDT and selectors are the same on all");
    ok(!common[0].kernel_gs, "what SWAPGS would give is nobody's, whatever the loader has left");
    ok(common[0].lint1 == LVT_NMI, "the pin for NMIs is open");
    ok(right == cpus, "GS base, GDT, TSS and APIC id are each one's own");
    ok(stacks == cpus, "no two share an interrupt stack, and each names its PCR");
    ok(numbers == cpus, "they are numbered without gaps");
}

TEST(idle_tasks) {
    unsigned distinct = 0, cpus = 0;
    for (const struct pcr *pcr = smp_first; pcr; pcr = pcr->next) {
        bool shared = false;
        for (const struct pcr *other = smp_first; other; other = other->next)
            shared = shared || (other != pcr && other->idle == pcr->idle);
        distinct += pcr->idle && !shared;
        cpus++;
    }
    ok(distinct == cpus, "each CPU has one of its own");
}
