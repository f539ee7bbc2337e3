/* address_space.h: the lower half of the addresses, which belongs to a program.
 * SPDX-License-Identifier: MIT */
#pragma once
#include <kernel/kernel.h>

/* As in mmap(); by the same numbers as in Linux. */
enum { PROT_READ = 1, PROT_WRITE = 2, PROT_EXEC = 4 };

struct address_space {
    uint64_t cr3;            /* physical address of the top-level table */
    uint64_t brk_start, brk; /* the heap that brk() moves, [brk_start, brk) */
    uint64_t mmap_bottom;    /* mmap() has given out addresses from MMAP_TOP down to here */
};

#define MMAP_TOP 0x00007fff00000000

/* An empty one, with the kernel's half. False without memory. */
bool address_space_create(struct address_space *space);

/* Gives back all its memory. It must not be loaded on any CPU. */
void address_space_destroy(struct address_space *space);

/* Maps zeroed pages over [start, start + size), page-aligned and in ring 3's half. All of them or, returning false,
 * none: if an address is taken, or memory used up. Without any of PROT_* it takes the addresses and no memory. */
bool user_map(struct address_space *space, uint64_t start, uint64_t size, unsigned prot);

/* Unmaps whatever is mapped there. The space is the current one, or was never loaded. */
void user_unmap(struct address_space *space, uint64_t start, uint64_t size);

/* Is nothing there, not even an address that is taken? */
bool user_range_free(const struct address_space *space, uint64_t start, uint64_t size);

/* The kernel's view of one byte of a program's memory, good to the end of its page; NULL if the program itself could
 * not read it, or not write it. */
void *user_page(const struct address_space *space, uint64_t address, bool write);

/* Copies into the program's memory, writable for it or not; for loading. All of the range is mapped. */
void user_fill(struct address_space *space, uint64_t address, const void *data, size_t size);

/* Does all of it lie where programs may have memory? */
static inline bool in_user_space(uint64_t address, uint64_t size) {
    return address < USER_TOP && size <= USER_TOP - address;
}

/* user_copy.c: the only way by which a system call touches a program's memory. False if any byte of the program's
 * range is not the program's own to read, or to write; then part of it may have been copied. Of the current task's
 * memory. */
bool copy_from_user(void *to, uint64_t from, size_t size);
bool copy_to_user(uint64_t to, const void *from, size_t size);
