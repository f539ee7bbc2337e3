/* load.c: what it takes to load a program: each module is made a task, and taken down again before it runs. So no
 * program is left for the kernel. tools/measure/scaling.py lays it on the last stage.
 * SPDX-License-Identifier: MIT */
#include <proof/proof.h>
#include <proof/results.h>

static void measure_load(void) {
    for (;;) {
        uint64_t begin = rdtsc();
        struct task *task = program_next();
        uint64_t ticks = rdtsc() - begin;
        if (!task)
            break;
        print_result(task->arguments.text, 1, 1, &ticks, 1);
        begin = rdtsc();
        task_destroy(task);
        ticks = rdtsc() - begin;
        print_result("destroy", 1, 1, &ticks, 1);
    }
}

PROOF(NULL, measure_load);
