/* fuzz.h: what every fuzz target uses: the unit tests' checks, and a look at memory that the sanitizer watches.
 * SPDX-License-Identifier: MIT
 *
 * A target includes a source file of the kernel as it is, and is linked with libFuzzer, which calls
 * LLVMFuzzerTestOneInput() again and again, with bytes that reach new parts of the code. fuzzing.py builds and runs it. */
#pragma once
#include <unit/information.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads every byte. */
static inline void look_at(const void *from, size_t size) {
    for (size_t i = 0; i < size; i++)
        (void)((const volatile uint8_t *)from)[i];
}
