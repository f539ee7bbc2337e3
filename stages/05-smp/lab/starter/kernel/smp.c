/* smp.c: starts the other CPUs. Called by main.c on the boot CPU; ap_main() runs on each of the others.
 * SPDX-License-Identifier: MIT
 *
 * Source: SDM 3A, "MP Initialization Protocol Algorithm for MP Systems". All CPUs start side by side: each takes the
 * first PCR that is left of a list. At the time-out the door is closed, so that one that comes too late parks. */
#include <kernel/protect.h>
#include <kernel/smp.h>
#include <kernel/syscall.h>

#define MILLISECOND    1000000ul
#define TIMEOUT        (2000 * MILLISECOND)
#define FRAMES_PER_CPU 64  /* PCR, five stacks of three frames, their page tables; and some to spare */
#define APIC_ALL       255 /* not one CPU's id but all of them */

_Static_assert(offsetof(struct pcr, next) == PCR_NEXT, "smp.h");

struct pcr *smp_first;
struct pcr *ap_unclaimed; /* what ap_entry.S takes from; tss.rsp0 is the stack to start on */

extern char ap_trampoline[], ap_trampoline_end[];

/* From here on this CPU takes part, or else it halts: it comes too late, and was reported as left out. */
static void join(void) {
    while (!__sync_bool_compare_and_swap(&this_cpu->self->presence, CPU_AWAITED, CPU_ONLINE))
        hlt();
}

/* Where ap_entry.S goes on, on the CPU's own stack, with the kernel's tables. */
_Noreturn void ap_main(struct pcr *pcr) {
    panic("lab 05: ap_main() is yours to write"); /* part 2: all that is a CPU's own, and then its work */
}

static bool is_online(uint32_t apic_id) {
    for (struct pcr *pcr = smp_first; pcr; pcr = pcr->next)
        if (__atomic_load_n(&pcr->presence, __ATOMIC_ACQUIRE) == CPU_ONLINE && pcr->apic_id == apic_id)
            return true;
    return false;
}

/* Sends to each CPU of the table that has not answered. Returns how many those are. command 0: only counts. */
static unsigned send_to_silent(const struct acpi_table *madt, uint32_t command) {
    uint32_t offset = 0, id;
    unsigned silent = 0;
    while (madt_next_cpu(madt, &offset, &id)) {
        bool waited_for = !is_online(id) && id != APIC_ALL;
        silent += waited_for;
        if (waited_for && command)
            ipi_send(id, command);
    }
    return silent;
}

/* Appends PCRs with stacks to the list, one for each CPU that may come, as long as there is memory: each of them is yet
 * to take one frame more, for its idle task. */
static void prepare(unsigned count) {
    if (count && frame_count_free() > FRAMES_PER_CPU)
        panic("lab 05: prepare() is yours to write"); /* part 2 */
}

void smp_start(const struct multiboot2_info *info) {
    smp_first = this_cpu->self;
    join();
    ipi_init();
    const struct acpi_table *madt = acpi_find_madt(info);
    if (!madt)
        return;
    prepare(send_to_silent(madt, 0));
    memcpy(phys_to_virt(AP_PAGE), ap_trampoline, (size_t)(ap_trampoline_end - ap_trampoline));
    uint64_t begin = clock_now();
    /* Lab 05, part 1: the messages that start the others, with the waits between them, and then at most TIMEOUT for
     * the CPUs to come. With one CPU in the machine there is nobody to start. */
    if (send_to_silent(madt, 0))
        panic("lab 05: the start sequence, in smp_start(), is yours to write (it may take %lu ms)",
              TIMEOUT / MILLISECOND);
    /* Whoever comes now parks in join(). A PCR that nobody took stays in the list of all, and does not count. */
    unsigned online = 0;
    for (struct pcr *pcr = smp_first; pcr; pcr = pcr->next)
        online += !__sync_bool_compare_and_swap(&pcr->presence, CPU_AWAITED, CPU_LEFT_OUT);
    printk("smp: %u CPUs, after %lu us\n", online, (clock_now() - begin) / 1000);
    uint32_t offset = 0, id;
    while (madt_next_cpu(madt, &offset, &id))
        if (!is_online(id))
            printk("smp: the CPU with APIC id %u does not answer; it is left out\n", id);
    if (offset != madt->length)
        printk("smp: the MADT is broken; CPUs that come later in it are left out\n");
}
