/* check.h: what every unit test uses: checks that say where they failed, and numbers that look random but repeat.
 * SPDX-License-Identifier: MIT
 *
 * A unit test is a program of the host. It includes a source file of the kernel as it is, so that it reaches the static
 * functions too, and runs under the address and undefined-behaviour sanitizers. test_unit.py builds and runs it. */
#pragma once
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: this should hold: %s\n", __FILE__, __LINE__, #condition);                          \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

#define CHECK_EQUAL(is, wanted)                                                                                        \
    do {                                                                                                               \
        uint64_t is_ = (uint64_t)(is), wanted_ = (uint64_t)(wanted);                                                   \
        if (is_ != wanted_) {                                                                                          \
            fprintf(stderr, "%s:%d: %s is 0x%" PRIx64 ", not 0x%" PRIx64 "\n", __FILE__, __LINE__, #is, is_, wanted_); \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

/* Texts; either may be NULL. */
#define CHECK_TEXT(is, wanted)                                                                                         \
    do {                                                                                                               \
        const char *is_ = (is), *wanted_ = (wanted);                                                                   \
        if (!is_ || !wanted_ ? is_ != wanted_ : strcmp(is_, wanted_) != 0) {                                           \
            fprintf(stderr, "%s:%d: %s is '%s', not '%s'\n", __FILE__, __LINE__, #is, is_ ? is_ : "(NULL)",            \
                    wanted_ ? wanted_ : "(NULL)");                                                                     \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

/* The next number of a fixed sequence (xorshift64*): a failure must come again when somebody looks for it. */
static inline uint64_t any_number(void) {
    static uint64_t state = 0x9e3779b97f4a7c15;
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * 0x2545f4914f6cdd1d;
}

/* One of 0 ... limit - 1. */
static inline uint64_t any_below(uint64_t limit) { return any_number() % limit; }

/* A copy whose last byte is the last one before the sanitizer's red zone: reading on is an error. To be freed. */
static inline void *exact_copy(const void *from, size_t size) {
    void *copy = calloc(1, size ? size : 1);
    return size ? memcpy(copy, from, size) : (char *)copy + 1;
}

static inline void free_copy(void *copy, size_t size) { free(size ? copy : (char *)copy - 1); }
