/* trap.c: dispatch of interrupts and exceptions, and the reports of those that nobody handles. Called by trap_entry.S.
 * SPDX-License-Identifier: MIT */
#include <kernel/task.h>

/* Names, and the signal by which Linux ends a program. Source: SDM 3A, "Exception and Interrupt Reference". */
static const struct {
    const char *name, *text;
    int signal;
} exceptions[] = {
    [0] = {"#DE", "divide error", SIGFPE},
    [1] = {"#DB", "debug", SIGTRAP},
    [2] = {"NMI", "non-maskable interrupt", SIGSEGV},
    [3] = {"#BP", "breakpoint", SIGTRAP},
    [6] = {"#UD", "invalid opcode", SIGILL},
    [7] = {"#NM", "no FPU", SIGSEGV},
    [8] = {"#DF", "double fault", SIGSEGV},
    [10] = {"#TS", "invalid TSS", SIGSEGV},
    [11] = {"#NP", "segment not present", SIGBUS},
    [12] = {"#SS", "stack segment fault", SIGBUS},
    [13] = {"#GP", "general protection", SIGSEGV},
    [14] = {"#PF", "page fault", SIGSEGV},
    [16] = {"#MF", "x87 error", SIGFPE},
    [17] = {"#AC", "alignment check", SIGBUS},
    [18] = {"#MC", "machine check", SIGSEGV},
    [19] = {"#XM", "SIMD error", SIGFPE},
};

static trap_handler *handlers[256];

void trap_handle(unsigned vector, trap_handler *handler) { handlers[vector] = handler; }

static bool is_exception(uint64_t vector) { return vector < ARRAY_LENGTH(exceptions) && exceptions[vector].name; }

void trap_print_registers(const struct trap_frame *f) {
    printk("  rip %016lx  rsp %016lx  rflags %lx  cs %lx  ss %lx  error %lx\n"
           "  rax %016lx  rbx %016lx  rcx %016lx  rdx %016lx\n"
           "  rsi %016lx  rdi %016lx  rbp %016lx  r8  %016lx\n"
           "  r9  %016lx  r10 %016lx  r11 %016lx  r12 %016lx\n"
           "  r13 %016lx  r14 %016lx  r15 %016lx  cr2 %016lx\n",
           f->rip, f->rsp, f->rflags, f->cs, f->ss, f->error, f->rax, f->rbx, f->rcx, f->rdx, f->rsi, f->rdi, f->rbp,
           f->r8, f->r9, f->r10, f->r11, f->r12, f->r13, f->r14, f->r15, read_cr2());
}

_Noreturn void trap_panic(const struct trap_frame *f) {
    bool overflow = f->vector == VECTOR_DF && is_stack_guard(read_cr2());
    if (is_exception(f->vector))
        panic_begin("%s%s (%s) in ring %lu", overflow ? "kernel stack overflow: " : "", exceptions[f->vector].name,
                    exceptions[f->vector].text, f->cs & 3);
    else
        panic_begin("interrupt 0x%lx, which nobody expects", f->vector);
    trap_print_registers(f);
    panic_end(f->rip, f->rbp);
}

bool trap_try(struct trap_frame *frame) {
    trap_handler *handler = handlers[frame->vector];
    return handler && handler(frame);
}

/* What a program can raise is an exception; NMI, #DF, #MC and all other vectors come from elsewhere. */
static bool by_program(const struct trap_frame *f) {
    return from_user(f) && is_exception(f->vector) && f->vector != VECTOR_NMI && f->vector != VECTOR_DF &&
           f->vector != VECTOR_MC;
}

void trap(struct trap_frame *frame) {
    if (!trap_try(frame)) {
        if (!by_program(frame))
            trap_panic(frame);
        task_kill(frame, frame->rip == USER_TOP ? "leaving user space" : exceptions[frame->vector].name,
                  exceptions[frame->vector].signal);
    }
    if (from_user(frame))
        user_return(frame);
}
