/* syscall.c: dispatch of system calls, and the simple ones. Called by the way in that syscall_init.c sets up.
 * SPDX-License-Identifier: MIT */
#include <kernel/syscall.h>

#define WRITE_MAX 0x7ffff000 /* Linux writes no more at once */
#define IOV_MAX   1024

void syscall_dispatch(struct trap_frame *frame) {
    count_syscall();
    /* All 64 bits count: 1 << 32 | 60 is not exit. */
    syscall_function *function = frame->rax < syscall_table_size ? syscall_table[frame->rax] : NULL;
    frame->rax = (uint64_t)(function ? function(frame) : -ENOSYS);
}

/* What a write() or writev() has taken over from the program and not yet printed. */
struct output {
    size_t size;
    char text[256];
};

/* Prints it, or while there is more to come only its whole lines: then a line comes out in one piece, whatever other
 * CPUs and the kernel print meanwhile. */
static void print_output(struct output *output, bool more) {
    size_t size = output->size;
    while (more && size && output->text[size - 1] != '\n')
        size--;
    size = size ? size : output->size; /* a line longer than the buffer */
    uint64_t flags = lock_acquire(&console_lock);
    console_write(output->text, size);
    lock_release(&console_lock, flags);
    output->size -= size;
    memmove(output->text, output->text + size, output->size);
}

static long take_output(struct output *output, uint64_t from, uint64_t size) {
    uint64_t done = 0;
    if (from > USER_TOP || size > USER_TOP - from)
        return -EFAULT; /* the whole of it is checked first, though not all of it will be written */
    size = size < WRITE_MAX ? size : WRITE_MAX;
    while (done < size) {
        size_t part = sizeof(output->text) - output->size;
        part = part < size - done ? part : size - done;
        if (!copy_from_user(output->text + output->size, from + done, part))
            return done ? (long)done : -EFAULT;
        output->size += part;
        done += part;
        if (output->size == sizeof(output->text))
            print_output(output, true);
    }
    return (long)done;
}

/* Standard output and standard error; int, so the upper half of the register does not count. */
static bool is_console(uint64_t descriptor) { return (uint32_t)descriptor == 1 || (uint32_t)descriptor == 2; }

long sys_write(struct trap_frame *frame) {
    if (!is_console(frame->rdi))
        return -EBADF;
    struct output output = {.size = 0};
    long written = take_output(&output, frame->rsi, frame->rdx);
    print_output(&output, false);
    return written;
}

long sys_writev(struct trap_frame *frame) {
    struct output output = {.size = 0};
    struct {
        uint64_t base, size;
    } part;
    long total = 0, written = 0;
    if (!is_console(frame->rdi))
        return -EBADF;
    if (frame->rdx > IOV_MAX)
        return -EINVAL;
    for (uint64_t i = 0; i < frame->rdx && written >= 0; i++) {
        if (!copy_from_user(&part, frame->rsi + i * sizeof(part), sizeof(part)))
            written = -EFAULT;
        else if ((int64_t)part.size < 0)
            written = -EINVAL;
        else
            written = take_output(&output, part.base, part.size);
        total += written > 0 ? written : 0;
    }
    print_output(&output, false);
    return total ? total : written;
}

/* The console is no terminal: a C library that asks for its size then buffers as it does for a pipe. */
long sys_ioctl(struct trap_frame *frame) { return is_console(frame->rdi) ? -ENOTTY : -EBADF; }

/* A task is a process of one thread, so this is gettid and set_tid_address too. */
long sys_getpid(struct trap_frame *frame) {
    (void)frame;
    return current()->id;
}

long sys_getcpu(struct trap_frame *frame) {
    uint32_t cpu = cpu_number(), node = 0;
    if (frame->rdi && !copy_to_user(frame->rdi, &cpu, sizeof(cpu)))
        return -EFAULT;
    if (frame->rsi && !copy_to_user(frame->rsi, &node, sizeof(node)))
        return -EFAULT;
    return 0;
}

long sys_sched_yield(struct trap_frame *frame) {
    (void)frame;
    schedule();
    return 0;
}

long sys_exit(struct trap_frame *frame) { task_exit(frame->rdi & 0xff); }
