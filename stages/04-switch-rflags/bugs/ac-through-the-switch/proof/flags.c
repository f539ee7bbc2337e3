/* flags.c: in place of the stage's own two threads, a task of the kernel that has a page of ring 3's in its address
 * space. It gives way to others, and then reads that page as a careless kernel would: without STAC. SMAP should stop
 * it.
 * SPDX-License-Identifier: MIT */
#include <kernel/protect.h>
#include <kernel/sched.h>
#include <proof/proof.h>

#define READS 20
#define PAGE  0x400000

static bool stopped;

/* The #PF of the read below, and of nothing else. */
static bool pass_over(struct trap_frame *frame) {
    extern char read_byte_access[], read_byte_done[];
    if (frame->rip != (uint64_t)read_byte_access)
        return false;
    stopped = true;
    frame->rip = (uint64_t)read_byte_done;
    return true;
}

/* True if SMAP has let the read through. */
__attribute__((noinline)) static bool read_byte(void) {
    stopped = false;
    trap_handle(VECTOR_PF, pass_over);
    __asm__ volatile(".globl read_byte_access, read_byte_done\n"
                     "read_byte_access: mov al, [%0]\n"
                     "read_byte_done:"
                     :
                     : "r"((uint64_t)PAGE)
                     : "rax", "memory");
    user_copy_init(); /* the kernel's own handler again */
    return !stopped;
}

static void reader(void) {
    unsigned through = 0;
    for (int i = 0; i < READS; i++) {
        schedule();
        through += read_byte();
        __asm__ volatile("push 2; popfq; sti" : : : "memory", "cc"); /* what it has found is noted */
    }
    printk("reader: %u of %u reads of a program's page without STAC went through\n", through, READS);
}

static void start_reader(void) {
    struct task *task = task_create(); /* thread_create() would give it no address space */
    if (!task || !user_map(&task->space, PAGE, PAGE_SIZE, PROT_READ | PROT_WRITE))
        return;
    task->user.fpu = FPU_CLEAN;
    task->rsp = switch_first_stack(task->kernel_stack_top, thread_begin, (uint64_t)reader);
    sched_add(this_cpu->self, task);
}

PROOF(NULL, start_reader);
