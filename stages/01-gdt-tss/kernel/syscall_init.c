/* syscall_init.c: the way into the kernel for system calls. Called by main.c; stage 03 replaces this file.
 * SPDX-License-Identifier: MIT
 *
 * int 0x80, with the numbers and registers that the instruction syscall will have. It is an interrupt like any other:
 * the CPU looks up the gate, checks it, changes the stack; the stub builds the frame. */
#include <kernel/syscall.h>

#define VECTOR_INT80 0x80

static bool int80(struct trap_frame *frame) {
    frame->rax = (uint64_t)syscall_dispatch(frame);
    return true;
}

void syscall_init(void) {
    trap_handle(VECTOR_INT80, int80);
    idt_allow_user(VECTOR_INT80);
}
