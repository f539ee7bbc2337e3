/* selftest.c: runs the tests that the linker has collected. Called by main.c.
 * SPDX-License-Identifier: MIT */
#include <kernel/kernel.h>
#include <kernel/selftest.h>

extern const struct test tests_start[], tests_end[];
static const struct test *running;
static unsigned checks, failed;

void ok(bool condition, const char *text) {
    checks++;
    failed += !condition;
    printk("%s %u - %s: %s\n", condition ? "ok" : "not ok", checks, running->name, text);
}

_Noreturn void selftest_run(void) {
    printk("TAP version 13\n");
    for (running = tests_start; running < tests_end; running++)
        running->run();
    printk("1..%u%s\n", checks, checks ? "" : " # SKIP this kernel was built without its tests");
    machine_exit(checks && !failed);
}
