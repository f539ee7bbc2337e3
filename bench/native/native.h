/* native.h: what native.c knows of the assembly beside it.
 * SPDX-License-Identifier: MIT */
#pragma once
#include <stdint.h>

/* Leaves this stack and goes on on another; what the two arguments are is a matter of its kind. */
typedef void switch_function(void *save, uint64_t load);

/* What boost/context/detail/fcontext.hpp declares for C++. */
struct transfer {
    void *context, *data;
};
extern struct transfer jump_fcontext(void *context, void *data);
extern void *make_fcontext(void *top, uint64_t size, void (*begin)(struct transfer));

/* The six registers that a call keeps, and RFLAGS. */
struct values {
    uint64_t registers[6], rflags;
};

/* loop.S. A many_function switches so often, and reads the second argument anew each time. */
typedef void many_function(void *save, const uint64_t *load, uint64_t count, uint64_t flags);
many_function swapcontext_many, call_only_many;
void *jump_fcontext_many(void *context, uint64_t count);
void switch_checked(void *save, uint64_t load, switch_function *how, struct values *values);

/* The ways to switch. Each file calls its function switch_stacks; the build puts the file's name before it. */
#define DECLARE(name)                                                                                                  \
    switch_function name##_switch_stacks;                                                                              \
    many_function name##_switch_stacks_many;
DECLARE(plain)
DECLARE(stage_04)
DECLARE(stage_05)
DECLARE(push_again)
DECLARE(jump_away)
DECLARE(equal_status)
DECLARE(linux_shape)
DECLARE(linux_shape_rsb)
DECLARE(redox_shape)
