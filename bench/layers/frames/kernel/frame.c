/* frame.c: the frame allocator as it is, which also remembers how many frames there were before the first was taken.
 * SPDX-License-Identifier: MIT */
#include <kernel/kernel.h>

/* The allocator itself, beside the layers. Its frame_init() gets another name, and ours does the rest. */
#define frame_init frame_init_itself
#include <../../../stages/00-boot/kernel/frame.c>
#undef frame_init

uint64_t frames_at_first;

void frame_init(const struct multiboot2_info *info) {
    frame_init_itself(info);
    frames_at_first = frame_count_free();
}
