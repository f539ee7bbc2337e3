/* lock.c: one at a time, on all CPUs.
 * SPDX-License-Identifier: MIT */
#include <proof/selftest.h>
#include <kernel/smp.h>
#include <test/everywhere.h>

/* How long each CPU holds the lock: until every other one has had the time to come in, if it could. */
#define SECTION 20000000 /* ns */

static struct lock lock;
static volatile uint64_t counter; /* read and written in two steps, so that two at once would lose one */
static volatile unsigned inside, intruders;

static void count(void) {
    uint64_t flags = lock_acquire(&lock);
    uint64_t value = counter;
    inside++;
    clock_delay(SECTION);
    intruders += inside != 1;
    inside--;
    counter = value + 1;
    lock_release(&lock, flags);
}

TEST(lock_excludes_all_cpus) {
    counter = inside = intruders = 0;
    ok(run_everywhere(count), "all CPUs get through");
    /* mutant kernel/lock.h: != ticket) => != ticket && 0) */
    ok(!intruders, "never two at once");
    ok(counter == count_cpus(), "no count is lost");
}

TEST(lock_and_interrupts) {
    sti();
    uint64_t flags = lock_acquire(&lock);
    bool off = !(read_rflags() & RFLAGS_IF);
    lock_release(&lock, flags);
    bool on = read_rflags() & RFLAGS_IF;
    cli();
    flags = lock_acquire(&lock);
    lock_release(&lock, flags);
    ok(off && on, "they are off inside, and on again behind it");
    ok(!(read_rflags() & RFLAGS_IF), "or stay off, if they were");
}
