/* native.c: measures ways to switch between two stacks, as an ordinary program: ringstep's own and those of others.
 * SPDX-License-Identifier: MIT
 *
 * Arguments: --check, which looks whether each of them keeps what it is to keep; or the number of rounds. It prints one
 * line of JSON for each way. tools/measure/native.py calls it; taskset keeps it on one CPU.
 *
 * Two stacks switch to each other all the time: that of main(), which counts, and one of our own. Each round measures
 * all ways, one after the other, so that whatever slows the machine down for a while slows down all of them; and each
 * only for a fraction of a millisecond, so that Linux seldom gives the CPU to somebody else in the middle. */
#define _GNU_SOURCE
#include "native.h"
#include <kernel/x86.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>

enum { STACK_SIZE = 64 * 1024, SWITCHES = 20000, CHECKS = 10000, MOST_ROUNDS = 10000 };
#define FOREVER UINT64_MAX

/* The state of a stack that does not run, as each kind keeps it. */
struct side {
    union {
        uint64_t rsp;
        void *context;
        struct linux_task {
            uint64_t rsp, canary;
        } linux_task;
        struct redox_saved {
            uint64_t rflags, rbx, r12, r13, r14, r15, rbp, rsp;
        } redox_saved;
        ucontext_t glibc;
    };
    uint64_t address; /* of all that, for those who want it as second argument */
};

struct way {
    const char *name;
    switch_function *how;
    many_function *many;
    void (*prepare)(struct way *way, void (*begin)(void)); /* makes the second side begin there */
    bool takes_address, keeps_flags;
    unsigned slower; /* so many times fewer switches in a round */
    uint64_t flags;  /* that the first side has set, and the other one not */
    struct side sides[2];
    char *stack;
    double *nanoseconds; /* one for each round */
};

static struct way *current;

static const uint64_t *load_address(struct way *way, unsigned side) {
    return way->takes_address ? &way->sides[side].address : &way->sides[side].rsp;
}

/* What the jumps at the ends of the two shapes lead to. */
uint64_t linux_canary;
struct linux_task *linux_switch_to(struct linux_task *previous, struct linux_task *next);
struct linux_task *linux_switch_to(struct linux_task *previous, struct linux_task *) {
    return previous;
}
void redox_switched(void);
void redox_switched(void) {}

/* --- The first stack of each kind ------------------------------------------------------------------------------- */

static uint64_t read_flags(void) {
    uint64_t flags;
    asm volatile("pushfq; pop %0" : "=r"(flags));
    return flags & ~(uint64_t)RFLAGS_STATUS;
}

/* Puts six registers and the address of the beginning there, where RSP is a multiple of 16 before the `call`. */
static uint64_t *push_registers(struct way *way, void (*begin)(void)) {
    uint64_t *rsp = (uint64_t *)(way->stack + STACK_SIZE) - 8;
    memset(rsp, 0, 8 * sizeof(*rsp));
    rsp[6] = (uint64_t)begin;
    return rsp;
}

static void prepare_plain(struct way *way, void (*begin)(void)) {
    way->sides[1].rsp = (uint64_t)push_registers(way, begin);
}

/* As switch_first_stack() of stage 04 does. */
static void prepare_kernel(struct way *way, void (*begin)(void)) {
    uint64_t *rsp = push_registers(way, begin) - 1;
    *rsp = read_flags();
    way->sides[1].rsp = (uint64_t)rsp;
}

static void prepare_linux(struct way *way, void (*begin)(void)) {
    for (unsigned i = 0; i < 2; i++)
        way->sides[i].linux_task.canary = i;
    way->sides[1].linux_task.rsp = (uint64_t)push_registers(way, begin);
}

static void prepare_redox(struct way *way, void (*begin)(void)) {
    way->sides[1].redox_saved.rsp = (uint64_t)(push_registers(way, begin) + 6);
    way->sides[1].redox_saved.rflags = read_flags();
}

static void prepare_glibc(struct way *way, void (*begin)(void)) {
    getcontext(&way->sides[1].glibc);
    way->sides[1].glibc.uc_stack.ss_sp = way->stack;
    way->sides[1].glibc.uc_stack.ss_size = STACK_SIZE;
    makecontext(&way->sides[1].glibc, begin, 0);
}

static void swap_contexts(void *save, uint64_t load) { swapcontext(save, (ucontext_t *)load); }

#ifdef BOOST
/* In the form of the others, for the check. To measure it so would be unfair: jump_fcontext() leaves by a jump, and so
 * the return from here would be predicted wrongly. */
static void jump_context(void *save, uint64_t load) {
    struct transfer from = jump_fcontext((void *)load, save);
    *(void **)from.data = from.context;
}

static void (*begin_boost)(void);

static void begin_context(struct transfer from) {
    if (!from.data)
        jump_fcontext_many(from.context, FOREVER);
    *(void **)from.data = from.context;
    begin_boost();
}

static void prepare_boost(struct way *way, void (*begin)(void)) {
    begin_boost = begin;
    way->sides[1].context = make_fcontext(way->stack + STACK_SIZE, STACK_SIZE, begin_context);
}
#endif

/* --- The ways ----------------------------------------------------------------------------------------------------- */

#define WAY(name) name##_switch_stacks, name##_switch_stacks_many
static struct way ways[] = {
    {"plain", WAY(plain), prepare_plain},
    {"stage-04", WAY(stage_04), prepare_kernel, .keeps_flags = true},
    {"stage-04-df", WAY(stage_04), prepare_kernel, .keeps_flags = true, .flags = RFLAGS_DF, .slower = 5},
    {"stage-04-ac", WAY(stage_04), prepare_kernel, .keeps_flags = true, .flags = RFLAGS_AC, .slower = 5},
    {"fast", WAY(stage_05), prepare_kernel, .keeps_flags = true},
    {"fast-df", WAY(stage_05), prepare_kernel, .keeps_flags = true, .flags = RFLAGS_DF, .slower = 5},
    {"fast-ac", WAY(stage_05), prepare_kernel, .keeps_flags = true, .flags = RFLAGS_AC, .slower = 5},
    {"push-again", WAY(push_again), prepare_kernel, .keeps_flags = true},
    {"jump-away", WAY(jump_away), prepare_kernel, .keeps_flags = true},
    {"equal-status", WAY(equal_status), prepare_kernel, .keeps_flags = true},
    {"linux", WAY(linux_shape), prepare_linux, .takes_address = true},
    {"linux-rsb", WAY(linux_shape_rsb), prepare_linux, .takes_address = true, .slower = 10},
    {"redox", WAY(redox_shape), prepare_redox, .takes_address = true, .keeps_flags = true},
#ifdef BOOST
    {"boost", jump_context, NULL, prepare_boost},
#endif
    {"swapcontext", swap_contexts, swapcontext_many, prepare_glibc, .takes_address = true, .slower = 50},
    {"call", NULL, call_only_many, NULL},
};
enum { WAYS = sizeof(ways) / sizeof(*ways) };

/* --- Do they keep what they are to keep? -------------------------------------------------------------------------- */

/* What ring 3 can set without being stopped: all of RFLAGS_USER but TF, and the status flags are nobody's. */
static const uint64_t FLAGS[] = {RFLAGS_DF, RFLAGS_AC, RFLAGS_NT, RFLAGS_ID};

static struct { unsigned registers, flags; } wrong;

static uint64_t random_number(void) {
    static uint64_t state = 88172645463325252;
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

/* One switch there and back, with other registers and flags than the other side has. */
static void check_once(struct way *way, unsigned side) {
    struct values before, after;
    for (unsigned i = 0; i < 6; i++)
        before.registers[i] = random_number();
    before.rflags = read_flags();
    for (unsigned i = 0; i < sizeof(FLAGS) / sizeof(*FLAGS); i++)
        before.rflags |= random_number() >> 60 & 1 ? FLAGS[i] : 0;
    after = before;
    switch_checked(&way->sides[side], *load_address(way, !side), way->how, &after);
    wrong.registers += memcmp(before.registers, after.registers, sizeof(before.registers)) != 0;
    wrong.flags += before.rflags != (after.rflags & ~(uint64_t)RFLAGS_STATUS);
}

static void check_other_side(void) {
    for (;;)
        check_once(current, 1);
}

/* Without a claim to keep RFLAGS, it must be seen that they are lost: else the check would see nothing. */
static bool check(struct way *way) {
    current = way;
    wrong.registers = wrong.flags = 0;
    way->prepare(way, check_other_side);
    for (unsigned i = 0; i < CHECKS; i++)
        check_once(way, 0);
    bool right = !wrong.registers && !wrong.flags == way->keeps_flags;
    printf("{\"name\": \"%s\", \"switches\": %u, \"wrong_registers\": %u, \"wrong_flags\": %u, \"keeps_flags\": %s, "
           "\"right\": %s}\n",
           way->name, 2 * CHECKS, wrong.registers, wrong.flags, way->keeps_flags ? "true" : "false",
           right ? "true" : "false");
    fflush(stdout); /* a wrong one may well end the program */
    return right;
}

/* --- How long do they take? --------------------------------------------------------------------------------------- */

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static void switch_other_side(void) { current->many(&current->sides[1], load_address(current, 0), FOREVER, 0); }

/* Half of the switches are ours, half of them those of the other side. */
static void switch_back_and_forth(struct way *way, unsigned switches) {
    current = way;
#ifdef BOOST
    if (way->how == jump_context) {
        way->sides[1].context = jump_fcontext_many(way->sides[1].context, switches / 2);
        return;
    }
#endif
    way->many(&way->sides[0], load_address(way, 1), way->prepare ? switches / 2 : switches, way->flags);
}

static double measure(struct way *way) {
    unsigned switches = SWITCHES / (way->slower ? way->slower : 1);
    double begin = now();
    switch_back_and_forth(way, switches);
    return (now() - begin) / switches;
}

/* The first round, in which caches and predictors learn, does not count. */
static void measure_all(unsigned rounds) {
    for (unsigned i = 0; i < WAYS; i++) {
        ways[i].nanoseconds = calloc(rounds, sizeof(double));
        if (ways[i].prepare)
            ways[i].prepare(&ways[i], switch_other_side);
        measure(&ways[i]);
    }
    for (unsigned round = 0; round < rounds; round++)
        for (unsigned i = 0; i < WAYS; i++)
            ways[i].nanoseconds[round] = measure(&ways[i]);
    for (unsigned i = 0; i < WAYS; i++) {
        printf("{\"name\": \"%s\", \"nanoseconds\": [", ways[i].name);
        for (unsigned round = 0; round < rounds; round++)
            printf("%s%.3f", round ? ", " : "", ways[i].nanoseconds[round]);
        printf("]}\n");
    }
}

int main(int argc, char **argv) {
    for (unsigned i = 0; i < WAYS; i++) {
        ways[i].stack = aligned_alloc(4096, STACK_SIZE);
        for (unsigned side = 0; side < 2; side++)
            ways[i].sides[side].address = (uint64_t)&ways[i].sides[side];
    }
    if (argc == 2 && !strcmp(argv[1], "--check")) {
        bool right = true;
        for (unsigned i = 0; i < WAYS; i++)
            right = (!ways[i].prepare || check(&ways[i])) && right;
        return !right;
    }
    unsigned rounds = argc == 2 ? (unsigned)atoi(argv[1]) : 0;
    if (!rounds || rounds > MOST_ROUNDS) {
        fprintf(stderr, "usage: native --check | ROUNDS\n");
        return 2;
    }
    measure_all(rounds);
    return 0;
}
