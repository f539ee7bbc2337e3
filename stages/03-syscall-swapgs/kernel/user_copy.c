/* user_copy.c: copies to and from a program's memory. Called by the system calls.
 * SPDX-License-Identifier: MIT
 *
 * Nobody asks the page tables beforehand: the CPU does, at each access, and is never out of date. If it says no, #PF
 * comes from the one instruction that is allowed to, and its handler lets the copy end early. */
#include <kernel/address_space.h>
#include <kernel/protect.h>
#include <kernel/trap.h>

size_t user_copy_bytes(void *to, const void *from, size_t size);
extern char user_copy_bytes_access[] __asm__("user_copy_bytes.step1");
extern char user_copy_bytes_fault[] __asm__("user_copy_bytes.step2");

bool copy_from_user(void *to, uint64_t from, size_t size) {
    return in_user_space(from, size) && user_copy_bytes(to, (const void *)from, size) == 0;
}

bool copy_to_user(uint64_t to, const void *from, size_t size) {
    return in_user_space(to, size) && user_copy_bytes((void *)to, from, size) == 0;
}

static bool fix_up(struct trap_frame *frame) {
    if (frame->rip != (uint64_t)user_copy_bytes_access || read_cr2() >= USER_TOP)
        return false;
    frame->rip = (uint64_t)user_copy_bytes_fault;
    return true;
}

void user_copy_init(void) { trap_handle(VECTOR_PF, fix_up); }
