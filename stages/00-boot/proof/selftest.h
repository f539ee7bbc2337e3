/* selftest.h: tests that run inside the kernel, in ring 0, by the word selftest on the command line.
 * SPDX-License-Identifier: MIT
 *
 * A test is a function TEST(name) in a stage's folder test/; a kernel built with those folders has them all, every
 * other kernel has none. They report in TAP version 13 (testanything.org). */
#pragma once
#include <stdbool.h>

struct test {
    const char *name;
    void (*run)(void);
};

#define TEST(function)                                                                                                 \
    static void function(void);                                                                                        \
    __attribute__((section(".tests"), used)) static const struct test test_##function = {#function, function};         \
    static void function(void)

/* One check of the running test. text says what holds when it is right. */
void ok(bool condition, const char *text);
