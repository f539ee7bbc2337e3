/* user_copy.c: ring 0 touches a program's memory by the copies alone, and they end where the program's memory ends.
 * SPDX-License-Identifier: MIT */
#include <kernel/address_space.h>
#include <kernel/kernel.h>
#include <kernel/memory.h>
#include <proof/selftest.h>
#include <test/catch.h>

#define TEXT     0x400000 /* one page, executable */
#define DATA     0x500000 /* two pages, writable; nothing before and behind */
#define DATA_END (DATA + 2 * PAGE_SIZE)
#define LAST     (USER_TOP - PAGE_SIZE)

static struct address_space space;

/* With a program's address space loaded. */
static void enter_space(void) {
    bool made = address_space_create(&space) && user_map(&space, TEXT, PAGE_SIZE, PROT_READ | PROT_EXEC) &&
                user_map(&space, DATA, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE) &&
                user_map(&space, LAST, PAGE_SIZE, PROT_READ | PROT_WRITE);
    ok(made, "there is an address space to try it in");
    user_fill(&space, TEXT, "\xc3", 1); /* ret */
    write_cr3(space.cr3);
}

static void leave_space(void) {
    write_cr3(kernel_cr3());
    address_space_destroy(&space);
}

TEST(copies) {
    char buffer[64] = "", out[] = "written by the kernel";
    enter_space();
    /* mutant kernel/smap.h: je 770f => jmp 770f */
    ok(copy_to_user(DATA + PAGE_SIZE - 8, out, sizeof(out)), "a copy across two pages works");
    ok(copy_from_user(buffer, DATA + PAGE_SIZE - 8, sizeof(out)) && memcmp(buffer, out, sizeof(out)) == 0,
       "and back: the same bytes");
    ok(copy_to_user(DATA_END - 4, out, 4), "up to the last byte of a page");
    ok(copy_from_user(buffer, LAST + PAGE_SIZE - 8, 8), "up to the last byte of user space");
    leave_space();
}

TEST(copies_that_end_early) {
    char buffer[64] = "";
    unsigned refused = 0, tried = 0;
    enter_space();
    for (size_t size = 1; size <= 32; size++) {
        for (size_t beyond = 1; beyond <= size; beyond++) { /* the last bytes are not there, or the first ones */
            tried += 3;
            refused += !copy_from_user(buffer, DATA_END - size + beyond, size);
            refused += !copy_to_user(DATA_END - size + beyond, buffer, size);
            refused += !copy_from_user(buffer, DATA - beyond, size);
        }
    }
    ok(refused == tried, "no copy succeeds whose range leaves the pages");
    ok(!copy_to_user(TEXT, buffer, 1), "a read-only page is not written to");
    /* mutant kernel/user_copy.S: CLAC mov rax, rcx => mov rax, rcx */
    ok(!(read_rflags() & RFLAGS_AC), "AC is clear after a copy that has faulted"); /* before one that clears it */
    ok(copy_from_user(buffer, TEXT, 1) && buffer[0] == '\xc3', "but read");
    ok(rdmsr(MSR_GS_BASE) >= DIRECT_BASE, "GS base is still the kernel's");
    leave_space();
}

TEST(addresses_that_are_not_the_programs) {
    char buffer[16] = "";
    enter_space();
    /* mutant kernel/address_space.h: address < USER_TOP && size => size */
    ok(!copy_from_user(buffer, (uint64_t)copy_from_user, 1), "no kernel text");
    ok(!copy_to_user((uint64_t)buffer, buffer, 1), "no kernel stack");
    ok(!copy_from_user(buffer, DIRECT_BASE, 1), "no physical memory");
    ok(!copy_from_user(buffer, USER_TOP, 1) && !copy_from_user(buffer, USER_TOP - 8, 9), "nothing across the end");
    ok(!copy_from_user(buffer, LAST, UINT64_MAX) && !copy_from_user(buffer, UINT64_MAX - 7, 16), "no range that wraps");
    ok(!copy_from_user(buffer, USER_TOP, 0), "the very end is outside, even for nothing at all");
    leave_space();
}

#define PF_PRESENT 1
#define PF_FETCH   16

TEST(ring_0_without_the_copies) {
    enter_space();
    CATCH(VECTOR_PF, "mov rax, [%1]", "r"((uint64_t)DATA));
    bool read = caught.count == 1 && caught.frame.error == PF_PRESENT && caught.cr2 == DATA;
    ok(read == cpu_has(CPU_SMAP), "a read of a program's page faults where there is SMAP");
    if (cpu_has(CPU_SMEP)) {
        CATCH(VECTOR_PF, "jmp %1", "r"((uint64_t)TEXT));
        ok(caught.count == 1 && caught.frame.error == (PF_PRESENT | PF_FETCH) && caught.cr2 == TEXT,
           "execution of a program's page faults where there is SMEP");
    }
    leave_space();
}
