/* Memory as a program gets it: malloc in many sizes, mmap, munmap and brk with their edges and errors.
 * With an argument it does one access that must end it instead: after_unmap, none, read_only, no_exec. */
/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE       4096ul
#define READ_WRITE (PROT_READ | PROT_WRITE)
#define PRIVATE    (MAP_PRIVATE | MAP_ANONYMOUS)

static void say(const char *what, bool right) { printf("%s: %s\n", what, right ? "yes" : "NO"); }

static bool all_are(const char *bytes, size_t count, char value) {
    for (size_t i = 0; i < count; i++)
        if (bytes[i] != value)
            return false;
    return true;
}

static char *map(void *at, size_t length, int protection, int flags) {
    return mmap(at, length, protection, PRIVATE | flags, -1, 0);
}

static void try_malloc(void) {
    enum { BLOCKS = 300 };
    static char *blocks[BLOCKS];
    static size_t sizes[BLOCKS];
    bool kept = true;

    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < BLOCKS; i++) {
            sizes[i] = (size_t)(i * 37 + round * 1013) % 5000 + (i % 50 == 0 ? 200000 : 1);
            blocks[i] = malloc(sizes[i]);
            memset(blocks[i], i, sizes[i]);
        }
        for (int i = 0; i < BLOCKS; i += 3) {
            blocks[i] = realloc(blocks[i], 2 * sizes[i]);
            kept &= all_are(blocks[i], sizes[i], (char)i);
        }
        for (int i = 0; i < BLOCKS; i++)
            kept &= all_are(blocks[i], sizes[i], (char)i);
        /* Seven and the number of blocks have no common divisor: each is freed once, in a mixed order. */
        for (int i = 0; i < BLOCKS; i++)
            free(blocks[i * 7 % BLOCKS]);
    }
    say("malloc and realloc keep what is written", kept);
    char *big = calloc(3, 1 << 20);
    say("calloc of three megabytes is zero", big && all_are(big, 3 << 20, 0));
    free(big);
    say("malloc of half the address space fails", malloc(1ul << 62) == NULL && errno == ENOMEM);
}

static void try_mmap(void) {
    char *three = map(NULL, 3 * PAGE, READ_WRITE, 0);

    say("mmap gives aligned pages", three != MAP_FAILED && (uintptr_t)three % PAGE == 0);
    say("they are zero", all_are(three, 3 * PAGE, 0));
    memset(three, 'x', 3 * PAGE);
    say("munmap of the middle page", munmap(three + PAGE, PAGE) == 0);
    say("its neighbours are kept", all_are(three, PAGE, 'x') && all_are(three + 2 * PAGE, PAGE, 'x'));
    say("munmap of it once more", munmap(three + PAGE, PAGE) == 0);
    say("MAP_FIXED into the gap", map(three + PAGE, PAGE, READ_WRITE, MAP_FIXED) == three + PAGE);
    say("the new page is zero", all_are(three + PAGE, PAGE, 0));
    say("MAP_FIXED over a page in use", map(three, PAGE, READ_WRITE, MAP_FIXED) == three);
    say("replaces it by zeros", all_are(three, PAGE, 0));
    say("MAP_FIXED with PROT_NONE", map(three, PAGE, PROT_NONE, MAP_FIXED) == three);
    say("MAP_FIXED makes it usable again", map(three, PAGE, READ_WRITE, MAP_FIXED) == three && three[0] == 0);
    say("one byte maps a page", (three = map(NULL, 1, READ_WRITE, 0)) != MAP_FAILED && three[PAGE - 1] == 0);
    say("a read-only page reads as zero", all_are(map(NULL, PAGE, PROT_READ, 0), PAGE, 0));
}

static void error(const char *what, bool failed) { printf("%s: %s\n", what, failed ? strerror(errno) : "succeeds"); }

static void try_errors(void) {
    char *page = map(NULL, PAGE, READ_WRITE, 0);
    char *hole = (char *)0x800000000000;

    error("mmap of nothing", map(NULL, 0, READ_WRITE, 0) == MAP_FAILED);
    error("mmap, neither private nor shared", mmap(NULL, PAGE, READ_WRITE, MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
    error("mmap of a file that is not open", mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, 99, 0) == MAP_FAILED);
    error("mmap, MAP_FIXED, not aligned", map(page + 1, PAGE, READ_WRITE, MAP_FIXED) == MAP_FAILED);
    error("mmap, MAP_FIXED, in the canonical hole", map(hole, PAGE, READ_WRITE, MAP_FIXED) == MAP_FAILED);
    error("mmap, MAP_FIXED, over the end of user space",
          map(hole - 2 * PAGE, 4 * PAGE, READ_WRITE, MAP_FIXED) == MAP_FAILED);
    error("mmap, MAP_FIXED, in the kernel's half",
          map((char *)0xffffffff80000000, PAGE, READ_WRITE, MAP_FIXED) == MAP_FAILED);
    error("mmap of more than there is", map(NULL, 1ul << 46, READ_WRITE, 0) == MAP_FAILED);
    error("mmap of 2^62 bytes", map(NULL, 1ul << 62, READ_WRITE, 0) == MAP_FAILED);
    /* By the system call itself: the C library checks some of these before the kernel can. */
    error("mmap of 2^64 - 1 bytes", syscall(SYS_mmap, 0, ~0ul, READ_WRITE, PRIVATE, -1, 0) == -1);
    error("mmap, offset not aligned", syscall(SYS_mmap, 0, PAGE, READ_WRITE, PRIVATE, -1, 1) == -1);
    error("munmap, not aligned", syscall(SYS_munmap, page + 1, PAGE) == -1);
    error("munmap of nothing", syscall(SYS_munmap, page, 0) == -1);
    error("munmap in the canonical hole", syscall(SYS_munmap, hole, PAGE) == -1);
    error("munmap over the end of user space", syscall(SYS_munmap, hole - PAGE, 2 * PAGE) == -1);
    error("munmap in the kernel's half", syscall(SYS_munmap, 0xffffffff80000000, PAGE) == -1);
    error("munmap of 2^64 - 1 bytes", syscall(SYS_munmap, page, ~0ul) == -1);
    error("munmap of a page", syscall(SYS_munmap, page, PAGE) == -1);
}

static char *brk_to(char *end) { return (char *)syscall(SYS_brk, end); }

static void try_brk(void) {
    char *start = brk_to(NULL);

    say("brk grows by a byte", brk_to(start + 1) == start + 1);
    say("brk grows by a megabyte", brk_to(start + (1 << 20)) == start + (1 << 20));
    say("the new memory is zero", all_are(start, 1 << 20, 0));
    memset(start, 'x', 1 << 20);
    say("brk shrinks", brk_to(start) == start);
    say("brk grows again", brk_to(start + 8 * PAGE) == start + 8 * PAGE);
    char *second_page = (char *)(((uintptr_t)start + 2 * PAGE - 1) & -PAGE);
    say("memory given back returns as zero", all_are(second_page, PAGE, 0));
    say("brk too low changes nothing", brk_to((char *)PAGE) == start + 8 * PAGE);
    say("brk beyond user space changes nothing", brk_to((char *)0x800000000000) == start + 8 * PAGE);
    say("brk of -1 changes nothing", brk_to((char *)-1) == start + 8 * PAGE);
    /* musl's malloc does this to learn whether somebody else uses the break. */
    char *above = (char *)(((uintptr_t)start + 9 * PAGE + PAGE - 1) & -PAGE);
    say("PROT_NONE above the break", map(above, PAGE, PROT_NONE, MAP_FIXED) == above);
    say("brk does not run over a mapping", brk_to(above + 4 * PAGE) == start + 8 * PAGE);
    say("munmap clears the way", munmap(above, PAGE) == 0);
    say("for brk", brk_to(above + 4 * PAGE) == above + 4 * PAGE);
}

/* A size that would reach down to the break is refused, and what comes after it is ordinary memory. */
static void try_almost_all(void) {
    char *end = brk_to(NULL);
    size_t almost_all = 0x7fff00000000 - (uintptr_t)end - 16 * PAGE;

    error("mmap of almost all addresses", map(NULL, almost_all & -PAGE, READ_WRITE, 0) == MAP_FAILED);
    say("brk grows all the same", brk_to(end + 32 * PAGE) == end + 32 * PAGE);
    char *some = map(NULL, 2048 * PAGE, READ_WRITE, 0);
    say("and mmap gives addresses of user space", some != MAP_FAILED && (uintptr_t)some < 0x7ffffffff000);
    say("which are zero", all_are(some, 2048 * PAGE, 0));
}

static int access_that_ends_it(const char *name) {
    char *page = map(NULL, PAGE, READ_WRITE, 0);

    if (strcmp(name, "after_unmap") == 0) {
        munmap(page, PAGE);
        *(volatile char *)page = 1;
    } else if (strcmp(name, "none") == 0) {
        return *(volatile char *)map(page, PAGE, PROT_NONE, MAP_FIXED);
    } else if (strcmp(name, "read_only") == 0) {
        *(volatile char *)map(page, PAGE, PROT_READ, MAP_FIXED) = 1;
    } else if (strcmp(name, "no_exec") == 0) {
        page[0] = (char)0xc3;
        ((void (*)(void))page)();
    }
    return 99;
}

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IOLBF, 0); /* whole lines, or the kernel's own could come between */
    if (argc > 1)
        return access_that_ends_it(argv[1]);
    try_brk();
    try_malloc();
    try_mmap();
    try_errors();
    try_almost_all();
    return 0;
}
