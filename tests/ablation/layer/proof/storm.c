/* storm.c: interrupts and NMIs far denser than a kernel meets, so that each place of an entry and an exit is struck.
 * Started by the words tick-storm and nmi-storm, for the runs of tools/ablate.
 * SPDX-License-Identifier: MIT
 *
 * Sources: SDM 3A, "APIC Timer"; Intel 8254 and 82093AA (I/O APIC) data sheets. */
#include <kernel/lapic.h>
#include <kernel/memory.h>
#include <kernel/sched.h>
#include <kernel/trap.h>
#include <proof/proof.h>

/* Counts of the timer from tick to tick: some hundred instructions, so that others get on in between. */
#define COUNTS 1499

/* Main() starts the timer behind the proofs, so a thread changes its rate. */
static void tick_often(void) { lapic_write(LAPIC_TIMER_INITIAL, COUNTS); }

static void start_tick_storm(void) {
    struct task *thread = thread_create(tick_often);
    if (thread)
        task_start(this_cpu->self, thread);
}

PROOF("tick-storm", start_tick_storm);

#define IOAPIC           0xfec00000 /* its place in every PC */
#define IOAPIC_DATA      0x10
#define IOAPIC_PIN_2     0x14  /* the first word of its entry: where the interval timer leads */
#define IOAPIC_NMI       0x400 /* edge, to the APIC id of the second word */
#define PIT_CHANNEL_0    0x40
#define PIT_COMMAND      0x43
#define PIT_RATE_CHANNEL 0x34 /* channel 0, low and high byte, mode 2: again and again */
#define PIT_COUNT        89   /* of 1.19 MHz; no divisor of anything else that repeats */

/* In the handler, whatever was interrupted: C relies on both. */
static bool look_at_flags(struct trap_frame *frame) {
    uint64_t wrong = read_rflags() & (RFLAGS_DF | (cpu_has(CPU_SMAP) ? RFLAGS_AC : 0));
    if (wrong)
        panic("the handler of an NMI has the flags 0x%lx", wrong);
    return true;
}

static void start_nmi_storm(void) {
    volatile uint32_t *ioapic = map_physical(IOAPIC, PAGE_SIZE, PTE_WRITE | PTE_NX | PTE_PCD | PTE_PWT);
    if (!ioapic)
        panic("nmi-storm: the I/O APIC is out of reach");
    trap_handle(VECTOR_NMI, look_at_flags);
    ioapic[0] = IOAPIC_PIN_2 + 1;
    ioapic[IOAPIC_DATA / 4] = this_cpu->apic_id << 24;
    ioapic[0] = IOAPIC_PIN_2;
    ioapic[IOAPIC_DATA / 4] = IOAPIC_NMI;
    outb(PIT_COMMAND, PIT_RATE_CHANNEL);
    outb(PIT_CHANNEL_0, PIT_COUNT);
    outb(PIT_CHANNEL_0, 0);
}

PROOF("nmi-storm", start_nmi_storm);
