/* frame.c: frames of the real machine's memory.
 * SPDX-License-Identifier: MIT */
#include <kernel/kernel.h>
#include <kernel/memory.h>
#include <proof/selftest.h>

#define COUNT 64

static uint64_t frames[COUNT];

static bool all_distinct(void) {
    for (unsigned n = 0; n < COUNT; n++)
        for (unsigned other = 0; other < n; other++)
            if (frames[n] == frames[other])
                return false;
    return true;
}

static bool all_zero(uint64_t frame) {
    const uint64_t *word = phys_to_virt(frame);
    for (unsigned i = 0; i < PAGE_SIZE / 8; i++)
        if (word[i])
            return false;
    return true;
}

TEST(frames_have_one_owner) {
    extern char image_end[];
    uint64_t before = frame_count_free();
    bool good = true, zero = true;
    for (unsigned n = 0; n < COUNT; n++) {
        frames[n] = frame_alloc();
        good = good && frames[n] && frames[n] % PAGE_SIZE == 0 && frames[n] >= (uint64_t)image_end - KERNEL_BASE;
        memset(phys_to_virt(frames[n]), 0xa5, PAGE_SIZE);
    }
    ok(good, "each is a whole page behind the kernel's image");
    ok(all_distinct(), "none is given twice");
    ok(frame_count_free() == before - COUNT, "they are counted");
    for (unsigned n = 0; n < COUNT; n++)
        frame_free(frames[n]);
    ok(frame_count_free() == before, "all are taken back");
    for (unsigned n = 0; n < COUNT; n++) {
        frames[n] = frame_alloc();
        zero = zero && all_zero(frames[n]);
    }
    /* mutant kernel/frame.c: memset(phys_to_virt(frame), 0, PAGE_SIZE); =>
       memset(phys_to_virt(frame), 0, PAGE_SIZE / 2); */
    ok(zero, "a zeroed one keeps nothing of its last owner's");
    ok(all_distinct(), "none is given twice the second time");
    for (unsigned n = 0; n < COUNT; n++)
        frame_free(frames[n]);
}
