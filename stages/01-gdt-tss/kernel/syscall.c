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

static bool writing;

/* One write() at a time: those of programs on several CPUs do not mix. Who has to wait lets others run meanwhile. */
static void begin_write(void) {
    while (__atomic_test_and_set(&writing, __ATOMIC_ACQUIRE)) {
        schedule();
        pause();
    }
}

static void end_write(void) { __atomic_clear(&writing, __ATOMIC_RELEASE); }

/* Writes in pieces, so that the lock is not held for long; they end with a line where they can, so that the kernel's own
 * lines come between those of programs. */
static long write_console(uint64_t from, uint64_t size) {
    char piece[256];
    uint64_t done = 0;
    if (from > USER_TOP || size > USER_TOP - from)
        return -EFAULT; /* the whole of it is checked first, though not all of it will be written */
    size = size < WRITE_MAX ? size : WRITE_MAX;
    while (done < size) {
        size_t part = size - done < sizeof(piece) ? size - done : sizeof(piece);
        if (!copy_from_user(piece, from + done, part))
            return done ? (long)done : -EFAULT;
        size_t lines = part;
        while (lines && piece[lines - 1] != '\n')
            lines--;
        part = lines ? lines : part;
        uint64_t flags = lock_acquire(&console_lock);
        console_write(piece, part);
        lock_release(&console_lock, flags);
        done += part;
    }
    return (long)done;
}

/* Standard output and standard error; int, so the upper half of the register does not count. */
static bool is_console(uint64_t descriptor) { return (uint32_t)descriptor == 1 || (uint32_t)descriptor == 2; }

long sys_write(struct trap_frame *frame) {
    if (!is_console(frame->rdi))
        return -EBADF;
    begin_write();
    long written = write_console(frame->rsi, frame->rdx);
    end_write();
    return written;
}

/* The parts of writev(), one after the other, until one fails. */
static long write_parts(uint64_t parts, uint64_t count) {
    struct {
        uint64_t base, size;
    } part;
    long total = 0, written = 0;
    for (uint64_t i = 0; i < count && written >= 0; i++) {
        if (!copy_from_user(&part, parts + i * sizeof(part), sizeof(part)))
            written = -EFAULT;
        else if ((int64_t)part.size < 0)
            written = -EINVAL;
        else
            written = write_console(part.base, part.size);
        total += written > 0 ? written : 0;
    }
    return written < 0 && !total ? written : total;
}

long sys_writev(struct trap_frame *frame) {
    if (!is_console(frame->rdi))
        return -EBADF;
    if (frame->rdx > IOV_MAX)
        return -EINVAL;
    begin_write();
    long written = write_parts(frame->rsi, frame->rdx);
    end_write();
    return written;
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
