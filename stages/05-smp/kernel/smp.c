/* smp.c: starts the other CPUs. Called by main.c on the boot CPU; ap_main() runs on each of the others.
 * SPDX-License-Identifier: MIT
 *
 * Source: SDM 3A, "MP Initialization Protocol Algorithm for MP Systems". All CPUs start side by side: each takes the
 * next PCR of a list by one atomic addition, and the count is closed at the time-out, so that one that comes too late
 * parks. */
#include <kernel/acpi.h>
#include <kernel/protect.h>
#include <kernel/smp.h>
#include <kernel/syscall.h>

#define MILLISECOND 1000000ul
#define TIMEOUT     (2000 * MILLISECOND)
#define XAPIC_ALL   255 /* not one CPU's id but all of them; in x2APIC mode that is UINT32_MAX */
#define CLOSED      0x80000000

_Static_assert(offsetof(struct pcr, next) == PCR_NEXT, "smp.h");

struct pcr *smp_first;
struct pcr *ap_first;       /* the first one for ap_entry.S to take; tss.rsp0 is the stack to start on */
static uint32_t *ap_claims; /* in AP_PAGE */

extern char ap_trampoline[], ap_trampoline_end[];

/* From here on this CPU takes part. */
static void join(void) {
    this_cpu->apic_id = lapic_id();
    __atomic_store_n(&this_cpu->self->online, true, __ATOMIC_RELEASE);
}

/* Where ap_entry.S goes on, on the CPU's own stack, with the kernel's tables. */
_Noreturn void ap_main(struct pcr *pcr) {
    pcr_init(pcr, pcr->cpu);
    cpu_setup();
    join();
    clock_start_ticks();
    sched_idle();
}

static bool is_online(uint32_t apic_id) {
    for (struct pcr *pcr = smp_first; pcr; pcr = pcr->next)
        if (__atomic_load_n(&pcr->online, __ATOMIC_ACQUIRE) && pcr->apic_id == apic_id)
            return true;
    return false;
}

/* Sends to each CPU of the table that has not answered. Returns how many those are. command 0: only counts. */
static unsigned send_to_silent(const struct acpi_table *madt, uint32_t command) {
    uint32_t offset = 0, id;
    unsigned silent = 0;
    while (madt_next_cpu(madt, &offset, &id)) {
        if (is_online(id) || id >= (lapic_is_x2apic() ? UINT32_MAX : XAPIC_ALL))
            continue;
        silent++;
        if (command)
            ipi_send(id, command);
    }
    return silent;
}

/* Appends PCRs with stacks to the list, one for each CPU that may come. Returns how many. */
static unsigned prepare(unsigned count) {
    struct pcr *last = smp_first;
    for (unsigned n = 0; n < count; n++) {
        uint64_t frame = frame_alloc_zeroed(), stack = kernel_stack_alloc();
        if (!frame || !stack) {
            printk("smp: memory for %u CPUs of %u\n", n + 1, count + 1);
            return n;
        }
        struct pcr *pcr = phys_to_virt(frame);
        pcr->cpu = n + 1;
        pcr->tss.rsp0 = stack;
        last->next = pcr;
        last = pcr;
    }
    return count;
}

static void copy_trampoline(unsigned count) {
    char *page = phys_to_virt(AP_PAGE);
    memset(page, 0xcc, PAGE_SIZE);
    memcpy(page, ap_trampoline, (size_t)(ap_trampoline_end - ap_trampoline));
    ap_claims = (uint32_t *)(page + AP_CLAIMS);
    *(uint32_t *)(page + AP_LIMIT) = count;
    ap_first = smp_first->next;
}

void smp_start(const struct multiboot2_info *info) {
    smp_first = this_cpu->self;
    join();
    ipi_init();
    const struct acpi_table *madt = acpi_find_madt(info);
    unsigned count = madt ? prepare(send_to_silent(madt, 0)) : 0;
    if (!count)
        return;
    copy_trampoline(count);
    uint64_t start = clock_now();
    send_to_silent(madt, ICR_INIT);
    clock_delay(10 * MILLISECOND);
    send_to_silent(madt, ICR_STARTUP | AP_PAGE / PAGE_SIZE);
    clock_delay(MILLISECOND / 5);
    send_to_silent(madt, ICR_STARTUP | AP_PAGE / PAGE_SIZE);
    while (send_to_silent(madt, 0) && clock_now() - start < TIMEOUT)
        pause();
    /* Whoever comes now parks. What is prepared for it stays in the list, and does not count. */
    __atomic_store_n(ap_claims, CLOSED, __ATOMIC_RELEASE);

    unsigned online = 0;
    for (struct pcr *pcr = smp_first; pcr; pcr = pcr->next)
        online += READ_ONCE(pcr->online);
    printk("smp: %u CPUs, after %lu us\n", online, (clock_now() - start) / 1000);
    uint32_t offset = 0, id;
    while (madt_next_cpu(madt, &offset, &id))
        if (!is_online(id))
            printk("smp: the CPU with APIC id %u does not answer; it is left out\n", id);
}
