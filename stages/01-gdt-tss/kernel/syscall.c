/* syscall.c: dispatch of system calls, and the simple ones. Called by the way in that syscall_init.c sets up.
 * SPDX-License-Identifier: MIT */
#include <kernel/syscall.h>

#define IOV_MAX   1024
#define PIECE_MAX 256 /* characters printed with interrupts off */

long syscall_dispatch(struct trap_frame *frame) {
    count_syscall();
    uint32_t number = (uint32_t)frame->rax; /* to Linux, too, it is an int */
    if (number >= ARRAY_LENGTH(syscall_table) || !syscall_table[number])
        return -ENOSYS;
    return syscall_table[number](frame);
}

/* Standard output and standard error; int, so the upper half of the register does not count. */
static bool is_console(uint64_t descriptor) { return (uint32_t)descriptor == 1 || (uint32_t)descriptor == 2; }

/* With console_lock held, so that a line comes out in one piece, whatever other CPUs and the kernel print. It is let go
 * behind each line and within a long one: interrupts are off meanwhile. */
static long print_from_user(uint64_t from, uint64_t size, uint64_t flags) {
    for (uint64_t done = 0; done < size; done++) {
        char c;
        if (!copy_from_user(&c, from + done, 1))
            return done ? (long)done : -EFAULT;
        console_put(c);
        if (c == '\n' || done % PIECE_MAX == PIECE_MAX - 1) {
            lock_release(&console_lock, flags);
            lock_acquire(&console_lock);
        }
    }
    return (long)size;
}

long sys_write(struct trap_frame *frame) {
    if (!is_console(frame->rdi))
        return -EBADF;
    if (!in_user_space(frame->rsi, frame->rdx))
        return -EFAULT;
    uint64_t flags = lock_acquire(&console_lock);
    long written = print_from_user(frame->rsi, frame->rdx, flags);
    lock_release(&console_lock, flags);
    return written;
}

/* Once through all parts of a writev(): checks them, or prints them up to one that is cut short. */
static long walk_parts(struct trap_frame *frame, bool print, uint64_t flags) {
    uint64_t part[2]; /* as in struct iovec: address and size */
    long total = 0;
    for (uint64_t n = 0; n < (uint32_t)frame->rdx; n++) {
        if (!copy_from_user(part, frame->rsi + n * sizeof(part), sizeof(part)))
            return -EFAULT;
        if ((int64_t)part[1] < 0)
            return -EINVAL;
        if (!in_user_space(part[0], part[1]))
            return -EFAULT;
        long done = print ? print_from_user(part[0], part[1], flags) : (long)part[1];
        if (done < 0)
            return total ? total : done;
        total += done;
        if (done < (long)part[1])
            break;
    }
    return total;
}

long sys_writev(struct trap_frame *frame) {
    if (!is_console(frame->rdi))
        return -EBADF;
    if ((uint32_t)frame->rdx > IOV_MAX)
        return -EINVAL;
    long result = walk_parts(frame, false, 0);
    if (result < 0)
        return result;
    uint64_t flags = lock_acquire(&console_lock);
    result = walk_parts(frame, true, flags);
    lock_release(&console_lock, flags);
    return result;
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
