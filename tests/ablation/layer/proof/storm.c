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

/* In the middle of a system call: the words of the frame with RCX and R11 in them. SYSCALL has overwritten both,
 * and the way back goes by rip and rflags, which somebody may have changed. A program must not see what is done. */
static void spoil_lost_registers(const struct trap_frame *frame) {
    uint64_t top = current()->kernel_stack_top;
    struct trap_frame *program = (struct trap_frame *)top - 1;
    if (!current()->space.cr3 || frame->rsp >= (uint64_t)program || frame->rsp < top - KERNEL_STACK_SIZE)
        return;
    if (program->vector == VECTOR_SYSCALL)
        program->rcx = program->r11 = 0xdead;
}

/* In the handler, whatever was interrupted, C relies on both flags; and what has interrupted a program must have left
 * the interrupt stack, or the next NMI could overwrite it. */
static bool look_around(struct trap_frame *frame) {
    if (from_user(frame) && frame != (struct trap_frame *)current()->kernel_stack_top - 1)
        panic("the frame of an NMI from ring 3 is at 0x%lx, not on the task's stack", (uint64_t)frame);
    uint64_t wrong = read_rflags() & (RFLAGS_DF | (cpu_has(CPU_SMAP) ? RFLAGS_AC : 0));
    if (wrong)
        panic("the handler of an NMI has the flags 0x%lx", wrong);
    if (!from_user(frame))
        spoil_lost_registers(frame);
    /* All that C may change; what is short does not always. */
    __asm__ volatile("mov eax, -1; mov ecx, eax; mov edx, eax; mov esi, eax; mov edi, eax; mov r8, rax; mov r9, rax\n\t"
                     "mov r10, rax; mov r11, rax"
                     :
                     :
                     : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11");
    return true;
}

static void start_nmi_storm(void) {
    volatile uint32_t *ioapic = map_physical(IOAPIC, PAGE_SIZE, PTE_WRITE | PTE_NX | PTE_PCD | PTE_PWT);
    if (!ioapic)
        panic("nmi-storm: the I/O APIC is out of reach");
    trap_handle(VECTOR_NMI, look_around);
    ioapic[0] = IOAPIC_PIN_2 + 1;
    ioapic[IOAPIC_DATA / 4] = this_cpu->apic_id << 24;
    ioapic[0] = IOAPIC_PIN_2;
    ioapic[IOAPIC_DATA / 4] = IOAPIC_NMI;
    outb(PIT_COMMAND, PIT_RATE_CHANNEL);
    outb(PIT_CHANNEL_0, PIT_COUNT);
    outb(PIT_CHANNEL_0, 0);
}

PROOF("nmi-storm", start_nmi_storm);
