/* catch.c: the handler of the tests that fault on purpose.
 * SPDX-License-Identifier: MIT */
#include <kernel/x86.h>
#include <test/catch.h>
#include <test/handlers.h>

struct caught caught;
uint64_t catch_resume;

static bool catch (struct trap_frame *frame) {
    caught.count++;
    caught.frame = *frame;
    caught.frame_at = (uint64_t)frame;
    caught.cr2 = read_cr2();
    caught.flags = read_rflags();
    if (catch_resume)
        frame->rip = catch_resume;
    return true;
}

void catch_begin(unsigned vector) {
    caught = (struct caught){0};
    catch_resume = 0;
    trap_handle(vector, catch);
}

void catch_end(unsigned vector) { restore_handler(vector); }
