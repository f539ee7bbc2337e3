/* user_return.c: no frame leads to ring 3 at an address outside user space, nor with flags that are not the program's.
 * SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <unit/check.h>
#include <kernel/pcr.h>
#undef this_cpu
static struct pcr cpu, *const this_cpu = &cpu;
#include <kernel/user_return.c>

char iretq_at[16] __asm__("interrupt_return.step3");

static trap_handler *handlers[256];
static unsigned switches;
static jmp_buf killed;
static const char *reason;
static int signal;

void trap_handle(unsigned vector, trap_handler *handler) { handlers[vector] = handler; }

void schedule(void) {
    if (++switches == 3)
        cpu.need_switch = false;
}

_Noreturn void task_kill(const struct trap_frame *frame, const char *why, int number) {
    (void)frame;
    reason = why;
    signal = number;
    longjmp(killed, 1);
}

/* True if the program may go on with this frame. */
static bool returns(struct trap_frame *frame) {
    reason = NULL;
    if (setjmp(killed))
        return false;
    user_return(frame);
    return true;
}

static void test_addresses(void) {
    static const struct {
        uint64_t rip;
        bool good;
    } cases[] = {
        {0, true},
        {0x401000, true},
        {0x7fffffffffff, true}, /* the last byte that is ring 3's */
        /* mutant kernel/user_return.c: frame->rip >= USER_TOP => frame->rip > USER_TOP */
        {0x800000000000, false}, /* the first that is not canonical: behind a SYSCALL in the last two bytes */
        {0x800000000001, false},
        {0xffff7fffffffffff, false},
        /* mutant kernel/user_return.c: frame->rip >= USER_TOP => frame->rip >= USER_TOP && frame->rip < DIRECT_BASE */
        {0xffff800000000000, false}, /* canonical, and the kernel's */
        {0xffffffff80100000, false},
        {UINT64_MAX, false},
    };
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct trap_frame frame = {.rip = cases[i].rip, .cs = 0x2b, .rflags = 0x202, .ss = 0x23};
        CHECK_EQUAL(returns(&frame), cases[i].good);
        if (!cases[i].good) {
            CHECK_EQUAL(signal, 11);
            CHECK_TEXT(reason, "return address outside user space");
        }
    }
    for (unsigned round = 0; round < 100000; round++) {
        struct trap_frame frame = {.rip = any_number() >> any_below(64), .cs = 0x2b, .rflags = 0x202, .ss = 0x23};
        uint64_t rip = frame.rip;
        CHECK_EQUAL(returns(&frame), rip >> 47 == 0);
        CHECK_EQUAL(frame.rip, rip);
    }
}

/* Of any flags the program's own stay; IF is on, the bit that is always 1 is 1, the rest 0. */
static void test_flags(void) {
    for (unsigned round = 0; round < 10000; round++) {
        uint64_t flags = any_number();
        struct trap_frame frame = {.rip = 0x401000, .cs = 0x2b, .rflags = flags, .ss = 0x23};
        CHECK(returns(&frame));
        /* mutant kernel/user_return.c: frame->rflags & RFLAGS_USER => frame->rflags & ~(uint64_t)RFLAGS_IOPL */
        /* mutant kernel/user_return.c: | RFLAGS_IF | => | */
        CHECK_EQUAL(frame.rflags, (flags & 0x244dd5) | 0x202);
    }
}

/* The turn of others comes first, and as often as it is asked for. */
static void test_switches(void) {
    struct trap_frame frame = {.rip = 0x401000, .cs = 0x2b, .rflags = 0x202, .ss = 0x23};
    cpu.need_switch = true;
    CHECK(returns(&frame));
    /* mutant kernel/user_return.c: while (this_cpu->need_switch) => if (this_cpu->need_switch) */
    CHECK_EQUAL(switches, 3);
}

/* Only that one IRETQ, and only in ring 0, is the task's fault; anything else is the kernel's. */
static void test_iretq_fault(void) {
    user_return_init();
    for (unsigned vector = 0; vector < 32; vector++) {
        /* mutant kernel/user_return.c: vector <= VECTOR_GP => vector < VECTOR_GP */
        CHECK((handlers[vector] != NULL) == (vector >= 11 && vector <= 13));
        if (!handlers[vector])
            continue;
        struct trap_frame frame = {.vector = vector, .rip = (uint64_t)iretq_at, .cs = 8};
        reason = NULL;
        if (!setjmp(killed))
            handlers[vector](&frame);
        CHECK(reason);
        frame.rip++;
        CHECK(!handlers[vector](&frame));
        /* mutant kernel/user_return.c: || from_user(frame)) => ) */
        frame = (struct trap_frame){.vector = vector, .rip = (uint64_t)iretq_at, .cs = 0x2b};
        reason = NULL;
        if (!setjmp(killed))
            CHECK(!handlers[vector](&frame));
        CHECK(!reason);
    }
}

int main(void) {
    test_addresses();
    test_flags();
    test_switches();
    test_iretq_fault();
    return 0;
}
