/* kernel_stack.c: stacks have a guard page, and come back.
 * SPDX-License-Identifier: MIT */
#include <kernel/memory.h>
#include <proof/selftest.h>
#include <test/tables.h>

static bool usable(uint64_t top) {
    for (uint64_t at = top - KERNEL_STACK_SIZE; at < top; at += PAGE_SIZE) {
        struct mapping m = mapping_of(at);
        if (!m.present || !m.write || m.execute || m.user)
            return false;
    }
    return true;
}

TEST(kernel_stacks) {
    uint64_t one = kernel_stack_alloc(), other = kernel_stack_alloc();
    uint64_t guard = one - KERNEL_STACK_SIZE - 1;
    ok(one && other && one != other, "there are two");
    ok(one % 16 == 0 && other % 16 == 0, "they begin 16-byte aligned");
    ok(usable(one) && usable(other), "all of each is writable and not executable");
    /* mutant kernel/kernel_stack.c: page = slot + PAGE_SIZE; => page = slot; */
    ok(!mapping_of(guard).present && !mapping_of(other - KERNEL_STACK_SIZE - 1).present, "no page lies below them");
    ok(is_stack_guard(guard) && is_stack_guard(guard - PAGE_SIZE + 1), "all of that page is known as a guard");
    ok(!is_stack_guard(guard + 1) && !is_stack_guard(one - 1), "the stack itself is not");
    uint64_t before = frame_count_free();
    kernel_stack_free(one);
    ok(kernel_stack_alloc() == one, "one that was given back is given out again");
    ok(frame_count_free() == before, "which takes no memory");
    kernel_stack_free(one);
    kernel_stack_free(other);
}
