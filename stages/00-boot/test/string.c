/* string.c: the state in which C runs. The host tests have the functions themselves.
 * SPDX-License-Identifier: MIT */
#include <kernel/kernel.h>
#include <proof/selftest.h>

TEST(flags_that_c_relies_on) {
    ok(!(read_rflags() & RFLAGS_DF), "DF is clear: string instructions go up");
    ok(!(read_rflags() & RFLAGS_AC), "AC is clear: SMAP is on, where there is SMAP");
    /* mutant kernel/printk.c: lock_release(&console_lock, flags); =>
       lock_release(&console_lock, flags | (*format == '%' ? RFLAGS_IF : 0)); */
    ok(!(read_rflags() & RFLAGS_IF), "interrupts are off until somebody wants them");
}
