/* failing.c: a self-test that fails. Used by tests/boot/test_contract.py.
 * SPDX-License-Identifier: MIT */
#include <proof/selftest.h>

TEST(arithmetic) {
    ok(1 + 1 == 2, "one and one is two");
    ok(1 + 1 == 3, "one and one is three");
}
