/* task.c: tasks begin and end here. Called by main.c, trap.c and the system calls.
 * SPDX-License-Identifier: MIT */
#include <kernel/balance.h>

_Static_assert(sizeof(struct task) <= PAGE_SIZE, "a task is kept in one page");

static unsigned last_id;
static unsigned alive = 1; /* created and not yet destroyed; the 1 is task_start_all() itself */

struct task *task_create(void) {
    uint64_t frame = frame_alloc();
    if (!frame)
        return NULL;
    struct task *task = phys_to_virt(frame);
    task->id = ++last_id;
    __atomic_fetch_add(&alive, 1, __ATOMIC_RELAXED);
    task->kernel_stack_top = kernel_stack_alloc();
    if (task->kernel_stack_top && address_space_create(&task->space))
        return task;
    task_destroy(task);
    return NULL;
}

struct task *thread_create(void (*function)(void)) {
    struct task *task = task_create();
    if (!task)
        return NULL;
    address_space_destroy(&task->space); /* it runs in any */
    task->space.cr3 = 0;
    task->rsp = switch_first_stack(task->kernel_stack_top, thread_begin, (uint64_t)function);
    return task;
}

void task_start(struct pcr *pcr, struct task *task) {
    if (task->space.cr3) { /* not so a thread of the kernel */
        struct trap_frame *frame = (struct trap_frame *)task->kernel_stack_top - 1;
        *frame = task->start;
        task->user.fpu = FPU_CLEAN;
        task->rsp = switch_first_stack((uint64_t)frame, task_begin, 0);
    }
    sched_add(pcr, task);
}

/* One fewer; the last one ends the run. */
static void drop_alive(void) {
    if (__atomic_sub_fetch(&alive, 1, __ATOMIC_ACQ_REL))
        return;
    balance_report();
    printk("all programs have ended\n");
    if (command_line_has("poweroff"))
        machine_exit(true);
}

void task_destroy(struct task *task) {
    if (task->space.cr3)
        address_space_destroy(&task->space);
    if (task->kernel_stack_top)
        kernel_stack_free(task->kernel_stack_top);
    frame_free(virt_to_phys(task));
    drop_alive();
}

void task_start_all(void) {
    struct task *task;
    while ((task = program_next()))
        task_start(balance_choose(), task);
    drop_alive();
}

_Noreturn void task_end(void) {
    current()->state = TASK_DEAD;
    schedule();
    __builtin_unreachable();
}

_Noreturn void task_exit(int status) {
    printk("task %u (%s): exit %u\n", current()->id, current()->arguments.text, status);
    task_end();
}

_Noreturn void task_kill(const struct trap_frame *frame, const char *reason, int signal) {
    struct task *task = current();
    printk("task %u (%s): killed by %s at rip=0x%lx\n", task->id, task->arguments.text, reason, frame->rip);
    trap_print_registers(frame);
    task_exit(128 + signal);
}
