/* tables.h: what the CPU finds in the page tables, for the tests: rights are the least of all levels.
 * SPDX-License-Identifier: MIT */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct mapping {
    uint64_t address, size, phys;
    bool present, write, user, execute;
};

/* The page of this address in the tables that CR3 points at; present is false if there is none. */
struct mapping mapping_of(uint64_t address);

/* Calls look() with each page that is mapped there. Returns how many look() has returned false for. */
unsigned count_wrong_mappings(bool (*look)(const struct mapping *mapping));
