/* user_memory.c: the system calls brk, mmap and munmap: anonymous memory, zeroed and there at once.
 * SPDX-License-Identifier: MIT */
#include <kernel/syscall.h>

enum { MAP_SHARED = 0x01, MAP_PRIVATE = 0x02, MAP_TYPE = 0x0f, MAP_FIXED = 0x10, MAP_ANONYMOUS = 0x20 };

long sys_brk(struct trap_frame *frame) {
    struct address_space *space = &current()->space;
    uint64_t old_end = page_align_up(space->brk), new_end = page_align_up(frame->rdi);
    if (frame->rdi < space->brk_start || frame->rdi >= MMAP_TOP)
        return (long)space->brk;
    if (new_end < old_end)
        user_unmap(space, new_end, old_end - new_end);
    else if (!user_map(space, old_end, new_end - old_end, PROT_READ | PROT_WRITE))
        return (long)space->brk;
    return (long)(space->brk = frame->rdi);
}

/* Free addresses for size bytes, below all that was given out: none is used twice, there are 2^47. 0 at the end. */
static uint64_t choose_address(struct address_space *space, uint64_t size) {
    uint64_t address = space->mmap_bottom;
    do {
        if (address < space->brk || size > address - space->brk)
            return 0;
        address -= size;
    } while (!user_range_free(space, address, size));
    return space->mmap_bottom = address;
}

/* No two tasks share memory, so MAP_SHARED is the same as MAP_PRIVATE. */
long sys_mmap(struct trap_frame *frame) {
    struct address_space *space = &current()->space;
    uint64_t address = frame->rdi, size = page_align_up(frame->rsi), flags = frame->r10, type = flags & MAP_TYPE;
    bool fixed = flags & MAP_FIXED;
    if (!(flags & MAP_ANONYMOUS))
        return frame->r9 % PAGE_SIZE ? -EINVAL : -EBADF; /* there are no files */
    if (!frame->rsi || frame->r9 % PAGE_SIZE || (fixed && address % PAGE_SIZE) ||
        (type != MAP_PRIVATE && type != MAP_SHARED))
        return -EINVAL;
    if (frame->rsi > USER_TOP || size / PAGE_SIZE > frame_count_free() || (fixed && !in_user_space(address, size)))
        return -ENOMEM;
    if (fixed && !address)
        return -EPERM; /* a null pointer must fault */
    if (fixed)
        user_unmap(space, address, size);
    else
        address = choose_address(space, size);
    bool mapped = address && user_map(space, address, size, frame->rdx & (PROT_READ | PROT_WRITE | PROT_EXEC));
    return mapped ? (long)address : -ENOMEM;
}

long sys_munmap(struct trap_frame *frame) {
    uint64_t address = frame->rdi, size = frame->rsi;
    if (address % PAGE_SIZE || !size || !in_user_space(address, size))
        return -EINVAL;
    user_unmap(&current()->space, address, page_align_up(size));
    return 0;
}
