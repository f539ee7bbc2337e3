/* string.c: the state in which C runs, and that memmove() knows the two directions. The host tests have the rest.
 * SPDX-License-Identifier: MIT */
#include <kernel/kernel.h>
#include <kernel/selftest.h>

TEST(flags_that_c_relies_on) {
    ok(!(read_rflags() & RFLAGS_DF), "DF is clear: string instructions go up");
    ok(!(read_rflags() & RFLAGS_AC), "AC is clear: SMAP is on, where there is SMAP");
    ok(!(read_rflags() & RFLAGS_IF), "interrupts are off until somebody wants them");
}

TEST(overlapping_moves) {
    char text[] = "0123456789";
    memmove(text + 2, text, 5);
    /* mutant kernel/string.c: if (d <= s) => if (d) */
    ok(memcmp(text, "0101234789", 10) == 0, "up by two");
    memmove(text, text + 2, 5);
    ok(memcmp(text, "0123434789", 10) == 0, "down by two");
}
