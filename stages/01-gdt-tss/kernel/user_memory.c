/* user_memory.c: the system calls brk, mmap and munmap: anonymous memory, zeroed and there at once.
 * SPDX-License-Identifier: MIT */
#include <kernel/syscall.h>

#define MAP_TYPE            0x0f
#define MAP_SHARED          0x01 /* no two tasks share memory, so the same as MAP_PRIVATE */
#define MAP_PRIVATE         0x02
#define MAP_FIXED           0x10
#define MAP_ANONYMOUS       0x20
#define MAP_FIXED_NOREPLACE 0x100000

/* mmap() takes addresses from here downwards and uses none twice: there are 2^47 of them. */
#define MMAP_TOP 0x00007fff00000000

long sys_brk(struct trap_frame *frame) {
    struct address_space *space = &current()->space;
    uint64_t old_end = page_align_up(space->brk), new_end = page_align_up(frame->rdi);
    if (frame->rdi < space->brk_start || frame->rdi >= MMAP_TOP)
        return (long)space->brk;
    if (new_end < old_end)
        user_unmap(space, new_end, old_end - new_end);
    if (new_end > old_end) {
        uint64_t size = new_end - old_end;
        if (size / PAGE_SIZE > frame_count_free() || !user_range_free(space, old_end, size) ||
            !user_map(space, old_end, size, PROT_READ | PROT_WRITE))
            return (long)space->brk;
    }
    space->brk = frame->rdi;
    return (long)space->brk;
}

/* Free addresses for size bytes: where the program wishes, or below all that was given out. 0 if there are none. */
static uint64_t choose_address(struct address_space *space, uint64_t wish, uint64_t size) {
    wish = page_align_down(wish);
    if (wish && wish < USER_TOP && size <= USER_TOP - wish && user_range_free(space, wish, size))
        return wish;
    uint64_t address = space->mmap_bottom ? space->mmap_bottom : MMAP_TOP;
    do {
        if (size > address - space->brk)
            return 0;
        address -= size;
    } while (!user_range_free(space, address, size));
    return space->mmap_bottom = address;
}

static long map_fixed(struct address_space *space, uint64_t address, uint64_t size, uint64_t flags) {
    if (address % PAGE_SIZE)
        return -EINVAL;
    if (address > USER_TOP || size > USER_TOP - address)
        return -ENOMEM;
    if (!address)
        return -EPERM; /* a null pointer must fault */
    if (flags & MAP_FIXED_NOREPLACE && !user_range_free(space, address, size))
        return -EEXIST;
    user_unmap(space, address, size);
    return (long)address;
}

long sys_mmap(struct trap_frame *frame) {
    struct address_space *space = &current()->space;
    uint64_t address = frame->rdi, size = frame->rsi, flags = frame->r10;
    if (frame->r9 % PAGE_SIZE)
        return -EINVAL;
    if (!(flags & MAP_ANONYMOUS))
        return -EBADF; /* there are no files */
    if (!size || ((flags & MAP_TYPE) != MAP_PRIVATE && (flags & MAP_TYPE) != MAP_SHARED))
        return -EINVAL;
    if (size > USER_TOP || size / PAGE_SIZE >= frame_count_free())
        return -ENOMEM;
    size = page_align_up(size);
    if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) {
        long error = map_fixed(space, address, size, flags);
        if (error < 0)
            return error;
    } else {
        address = choose_address(space, address, size);
    }
    if (!address || !user_map(space, address, size, frame->rdx & (PROT_READ | PROT_WRITE | PROT_EXEC)))
        return -ENOMEM;
    return (long)address;
}

long sys_munmap(struct trap_frame *frame) {
    uint64_t address = frame->rdi, size = frame->rsi;
    if (address % PAGE_SIZE || !size || address > USER_TOP || size > USER_TOP - address)
        return -EINVAL;
    user_unmap(&current()->space, address, page_align_up(size));
    return 0;
}
