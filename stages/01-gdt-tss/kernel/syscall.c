/* syscall.c: dispatch of system calls, and the simple ones. Called by the way in that syscall_init.c sets up.
 * SPDX-License-Identifier: MIT */
#include <kernel/syscall.h>

#define IOV_MAX 1024

void syscall_dispatch(struct trap_frame *frame) {
    count_syscall();
    /* All 64 bits count: 1 << 32 | 60 is not exit. */
    syscall_function *function = frame->rax < ARRAY_LENGTH(syscall_table) ? syscall_table[frame->rax] : NULL;
    frame->rax = (uint64_t)(function ? function(frame) : -ENOSYS);
}

/* What a write() or writev() has taken over from the program and not yet printed. A line comes out in one piece,
 * whatever other CPUs and the kernel print meanwhile. */
struct output {
    size_t size;
    char text[256];
};

static void print_output(struct output *output) {
    uint64_t flags = lock_acquire(&console_lock);
    console_write(output->text, output->size);
    lock_release(&console_lock, flags);
    output->size = 0;
}

static long take_output(struct output *output, uint64_t from, uint64_t size) {
    if (from > USER_TOP || size > USER_TOP - from)
        return -EFAULT; /* the whole of it is checked first, though not all of it will be written */
    for (uint64_t done = 0; done < size; done++) {
        char *c = &output->text[output->size];
        if (!copy_from_user(c, from + done, 1))
            return done ? (long)done : -EFAULT;
        if (++output->size == sizeof(output->text) || *c == '\n')
            print_output(output);
    }
    return (long)size;
}

/* Standard output and standard error; int, so the upper half of the register does not count. */
static bool is_console(uint64_t descriptor) { return (uint32_t)descriptor == 1 || (uint32_t)descriptor == 2; }

long sys_write(struct trap_frame *frame) {
    if (!is_console(frame->rdi))
        return -EBADF;
    struct output output = {.size = 0};
    long written = take_output(&output, frame->rsi, frame->rdx);
    print_output(&output);
    return written;
}

long sys_writev(struct trap_frame *frame) {
    struct output output = {.size = 0};
    struct {
        uint64_t base, size;
    } part;
    long total = 0, written = 0;
    bool whole = true;
    if (!is_console(frame->rdi))
        return -EBADF;
    if (frame->rdx > IOV_MAX)
        return -EINVAL;
    for (uint64_t i = 0; i < frame->rdx && whole; i++) {
        bool there = copy_from_user(&part, frame->rsi + i * sizeof(part), sizeof(part));
        written = !there ? -EFAULT : (int64_t)part.size < 0 ? -EINVAL : take_output(&output, part.base, part.size);
        total += written > 0 ? written : 0;
        whole = there && written == (long)part.size; /* behind a part that was cut short nothing may follow */
    }
    print_output(&output);
    return total ? total : written;
}

/* The console is no terminal: a C library that asks for its size then buffers as it does for a pipe. */
long sys_ioctl(struct trap_frame *frame) { return is_console(frame->rdi) ? -ENOTTY : -EBADF; }

/* A task is a process of one thread, so this is gettid and set_tid_address too. */
long sys_getpid(struct trap_frame *frame) { return current()->id; }

long sys_getcpu(struct trap_frame *frame) {
    uint32_t cpu = cpu_number(), node = 0;
    bool copied = (!frame->rdi || copy_to_user(frame->rdi, &cpu, sizeof(cpu))) &&
                  (!frame->rsi || copy_to_user(frame->rsi, &node, sizeof(node)));
    return copied ? 0 : -EFAULT;
}

long sys_sched_yield(struct trap_frame *frame) {
    schedule();
    return 0;
}

long sys_exit(struct trap_frame *frame) { task_exit(frame->rdi & 0xff); }
