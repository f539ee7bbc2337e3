/* Numbers that look random and follow from a seed. Included once by random_code.c and random_calls.c. */
/* SPDX-License-Identifier: MIT */
#pragma once
#include <stdint.h>

static uint64_t random_state;

/* Each task of one seed gets a sequence of its own. */
static inline void random_seed(uint64_t seed, uint64_t task) {
    random_state = seed << 32 ^ task * 0x9e3779b97f4a7c15ul;
}

/* Splitmix64: Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", 2014. */
static inline uint64_t random_next(void) {
    uint64_t z = random_state += 0x9e3779b97f4a7c15ul;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ul;
    z = (z ^ z >> 27) * 0x94d049bb133111ebul;
    return z ^ z >> 31;
}

static inline uint64_t random_below(uint64_t limit) { return random_next() % limit; }
