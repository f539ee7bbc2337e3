/* task.c: runs one program after another. Called by main.c, trap.c and the system calls. Stage 04 replaces this file.
 * SPDX-License-Identifier: MIT
 *
 * There is one kernel stack and nothing to come back to on it: a task that ends builds the next one's first frame at
 * the top of the stack that it stands on, and leaves by it. */
#include <kernel/current.h>
#include <kernel/pcr.h>
#include <kernel/user_state.h>

_Static_assert(sizeof(struct task) <= PAGE_SIZE, "a task is kept in one page");

void narrow_map(void); /* user_return.c */

static unsigned last_id;
static uint64_t stack_top;

struct task *task_create(void) {
    uint64_t frame = frame_alloc();
    struct task *task = frame ? phys_to_virt(frame) : NULL;
    if (task && !address_space_create(&task->space)) {
        frame_free(frame);
        return NULL;
    }
    if (task)
        task->id = ++last_id;
    return task;
}

void task_destroy(struct task *task) {
    address_space_destroy(&task->space);
    frame_free(virt_to_phys(task));
}

/* Never returns, and may stand on the very stack that it reuses: nothing on it is needed any more. */
static _Noreturn void run_next(void) {
    struct task *task = program_next();
    if (!task) {
        printk("all programs have ended\n");
        if (command_line_has("poweroff"))
            machine_exit(true);
        for (;;)
            hlt();
    }
    set_current(task);
    set_kernel_stack(stack_top);
    this_cpu->task_cr3 = task->space.cr3; /* first, for an NMI in between */
    write_cr3(task->space.cr3);
    narrow_map();
    user_state_reset();
    struct trap_frame *frame = (struct trap_frame *)stack_top - 1;
    *frame = task->start;
    trap_return(frame);
}

_Noreturn void task_run_all(void) {
    stack_top = kernel_stack_alloc();
    if (!stack_top)
        panic("no memory for the kernel stack");
    run_next();
}

_Noreturn void task_exit(int status) {
    struct task *task = current();
    printk("task %u (%s): exit %u\n", task->id, task->arguments.text, status);
    set_current(NULL);
    this_cpu->task_cr3 = kernel_cr3();
    write_cr3(kernel_cr3());
    task_destroy(task);
    run_next();
}

_Noreturn void task_kill(const struct trap_frame *frame, const char *reason, int signal) {
    struct task *task = current();
    printk("task %u (%s): killed by %s at rip=0x%lx\n", task->id, task->arguments.text, reason, frame->rip);
    trap_print_registers(frame);
    task_exit(128 + signal);
}
