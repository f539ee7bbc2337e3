/* clock.c: time since boot, and the system calls that tell it or wait for it.
 * SPDX-License-Identifier: MIT
 *
 * Relies on what every CPU since 2008 has: a counter of constant rate, started on all CPUs together. */
#include <kernel/sched.h>
#include <kernel/syscall.h>

#define SECOND 1000000000ul

struct timespec {
    int64_t seconds, nanoseconds;
};

static uint64_t start;
static uint64_t scale; /* ns per count, times 2^32 */

void clock_init(uint64_t tsc_rate) {
    scale = (SECOND << 32) / tsc_rate;
    start = rdtsc();
}

uint64_t clock_now(void) { return (uint64_t)((unsigned __int128)(rdtsc() - start) * scale >> 32); }

void clock_delay(uint64_t nanoseconds) {
    for (uint64_t end = clock_now() + nanoseconds; clock_now() < end;)
        pause();
}

/* There is no calendar: the clocks of Linux that never stop all tell the time since boot. */
long sys_clock_gettime(struct trap_frame *frame) {
    enum { PROCESS_CPU = 2, THREAD_CPU = 3, BOOT = 7 };
    uint64_t now = clock_now();
    struct timespec time = {(int64_t)(now / SECOND), (int64_t)(now % SECOND)};
    uint32_t id = (uint32_t)frame->rdi;
    if (id > BOOT || id == PROCESS_CPU || id == THREAD_CPU)
        return -EINVAL;
    return copy_to_user(frame->rsi, &time, sizeof(time)) ? 0 : -EFAULT;
}

/* Never interrupted, so the time that is left is not asked for. */
long sys_nanosleep(struct trap_frame *frame) {
    struct timespec time;
    if (!copy_from_user(&time, frame->rdi, sizeof(time)))
        return -EFAULT;
    if (time.seconds < 0 || time.nanoseconds < 0 || time.nanoseconds >= (int64_t)SECOND)
        return -EINVAL;
    uint64_t now = clock_now(), most = (UINT64_MAX - now) / SECOND - 1;
    uint64_t seconds = (uint64_t)time.seconds < most ? (uint64_t)time.seconds : most;
    sched_sleep_until(now + seconds * SECOND + (uint64_t)time.nanoseconds);
    return 0;
}
