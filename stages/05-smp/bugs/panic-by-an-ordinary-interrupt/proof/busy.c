/* busy.c: a panic on CPU 0 while a thread on CPU 1 works with interrupts off.
 * SPDX-License-Identifier: MIT */
#include <kernel/smp.h>
#include <proof/proof.h>

/* Of the interrupts that wait, those with the vectors 40h to 5Fh; the two lowest are the tick and a reschedule.
 * Source: SDM 3A, "Interrupt Request Register". */
#define LAPIC_WAITING_40 0x220
#define ORDINARY         3u
#define MOMENT           300000000 /* ns */

static volatile bool working;

static void work(void) {
    cli();
    working = true;
    while (!(lapic_read(LAPIC_WAITING_40) & ~ORDINARY))
        pause();
    for (;;) {
        printk("busy: an interrupt waits, but CPU 1 has turned them off, and goes on\n");
        clock_delay(MOMENT);
    }
}

static void fall(void) {
    while (!working)
        pause();
    panic("provoked, while CPU 1 works with interrupts off");
}

static void start(void) {
    struct task *one = thread_create(fall), *other = thread_create(work);
    if (!one || !other || !smp_first->next)
        return;
    task_start(smp_first, one);
    task_start(smp_first->next, other);
}

PROOF(NULL, start);
