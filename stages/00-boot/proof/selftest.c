/* selftest.c: runs the tests that the linker has collected. Started by the word selftest.
 * SPDX-License-Identifier: MIT */
#include <proof/proof.h>
#include <proof/selftest.h>

extern const struct test tests_start[], tests_end[];
static const struct test *running;
static unsigned checks, failed;

void ok(bool condition, const char *text) {
    checks++;
    failed += !condition;
    printk("%s %u - %s: %s\n", condition ? "ok" : "not ok", checks, running->name, text);
}

static _Noreturn void selftest_run(void) {
    printk("TAP version 13\n");
    for (running = tests_start; running < tests_end; running++)
        running->run();
    printk("1..%u%s\n", checks, checks ? "" : " # SKIP this kernel was built without its tests");
    machine_exit(checks && !failed);
}

PROOF("selftest", selftest_run);
