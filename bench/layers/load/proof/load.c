/* load.c: what it takes to load a program: each module is made a task, and taken down again before it runs. After the
 * last one program_next() begins anew, so the kernel finds them all, and runs them. tools/measure/scaling.py lays this
 * on the last stage.
 * SPDX-License-Identifier: MIT */
#include <proof/proof.h>
#include <proof/results.h>

static void measure_load(void) {
    for (unsigned number = 1;; number++) {
        uint64_t begin = rdtsc();
        struct task *task = program_next();
        uint64_t ticks = rdtsc() - begin;
        if (!task)
            return;
        print_result("load", number, 1, &ticks, 1);
        begin = rdtsc();
        task_destroy(task);
        ticks = rdtsc() - begin;
        print_result("destroy", number, 1, &ticks, 1);
    }
}

PROOF(NULL, measure_load);
