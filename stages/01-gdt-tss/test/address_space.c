/* address_space.c: a program's half of the addresses, loaded and seen as the CPU sees it; its memory comes back.
 * SPDX-License-Identifier: MIT */
#include <kernel/address_space.h>
#include <kernel/kernel.h>
#include <kernel/memory.h>
#include <proof/selftest.h>
#include <kernel/task.h>
#include <test/tables.h>

#define TEXT 0x400000
#define DATA 0x7ffffffff000 /* the last page */

static bool write_or_execute(const struct mapping *m) { return !(m->write && m->execute); }
static bool user_half_alone(const struct mapping *m) { return m->user == (m->address < USER_TOP); }

TEST(address_space) {
    struct address_space space;
    uint64_t before = frame_count_free();
    ok(address_space_create(&space), "one can be made");
    ok(user_map(&space, TEXT, 2 * PAGE_SIZE, PROT_READ | PROT_EXEC), "text can be mapped");
    ok(user_map(&space, DATA, PAGE_SIZE, PROT_READ | PROT_WRITE), "and data on the last page");
    write_cr3(space.cr3);
    struct mapping text = mapping_of(TEXT + PAGE_SIZE), data = mapping_of(DATA);
    bool only_user = !count_wrong_mappings(user_half_alone), separate = !count_wrong_mappings(write_or_execute);
    write_cr3(kernel_cr3());
    ok(text.present && text.user && text.execute && !text.write, "text is executable and not writable");
    ok(data.present && data.user && data.write && !data.execute, "data is writable and not executable");
    ok(only_user, "ring 3 has its half and nothing of the kernel's");
    ok(separate, "no page is writable and executable");
    user_unmap(&space, TEXT + PAGE_SIZE, PAGE_SIZE);
    ok(user_page(&space, TEXT, false) && !user_page(&space, TEXT + PAGE_SIZE, false), "one page can be unmapped");
    address_space_destroy(&space);
    /* mutant kernel/address_space.c: frame_free(space->cr3); => ; */
    ok(frame_count_free() == before, "all its memory comes back");
}

TEST(task_memory) {
    task_destroy(task_create()); /* its kernel stack stays mapped, for the next one */
    uint64_t before = frame_count_free();
    struct task *one = task_create(), *other = task_create();
    ok(one && other && one->id != other->id, "two tasks are two");
    ok(one->space.cr3 != other->space.cr3, "each with its own address space");
    task_destroy(one);
    task_destroy(other);
    task_destroy(task_create());
    task_destroy(task_create());
    ok(frame_count_free() + KERNEL_STACK_SIZE / PAGE_SIZE + 1 >= before, "nothing but a second kernel stack is kept");
    before = frame_count_free();
    task_destroy(task_create());
    ok(frame_count_free() == before, "and nothing more the next time");
}
