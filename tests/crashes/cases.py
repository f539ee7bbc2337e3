# Classic crashes, each brought about by a layer that breaks one thing, and what tools/boot must say of them.
# Used by test_crashes.py. The layers are made from the stages' own files (tests/claims/changes.py).
# SPDX-License-Identifier: MIT
from __future__ import annotations

from dataclasses import dataclass

BOTH = ("qemu", "bochs")
Replacement = tuple[str, str]


@dataclass(frozen=True)
class Crash:
    """One mistake and its explanation. `rule` is the function of tools/machine that finds the cause: without it the
    last of the `says`, the likely cause, must be missing."""

    name: str
    stage: str
    file: str
    replacements: tuple[Replacement, ...]
    says: tuple[str, ...]           # regular expressions, each found on standard error
    rule: str
    emulators: tuple[str, ...] = BOTH
    options: tuple[str, ...] = ()
    modules: tuple[str, ...] = ("hello",)
    code: int = 1                   # tools/boot's exit code


def in_main(stage: str, code: str) -> tuple[str, str, tuple[Replacement, ...]]:
    """Code that kernel_main executes before it looks at the programs."""
    return stage, "kernel/main.c", (("    program_init(info);", f"    {code}\n    program_init(info);"),)


CRASHES = [
    # A reset: nothing could be reported by the kernel.
    Crash("tss-descriptor-of-8-bytes", "01", "kernel/gdt.c",
          (("{GDT_ENTRIES * sizeof(uint64_t) - 1,", "{(GDT_ENTRIES - 1) * sizeof(uint64_t) - 1,"),),
          ("a triple fault", r"#GP\(0x30\) on `ltr ", r"at gdt_load\+0x\w+ \S+/kernel/gdt.c:\d+",
           "selector 0x30, entry 6 of the GDT", "no gate|vector must be within IDT",
           "likely cause: .*TSS descriptor.* 16 bytes"), "protection_faults.load_task_register"),
    Crash("no-idt", "05", "kernel/main.c", (("    idt_load();\n", ""),),
          ("a triple fault", "on CPU 0", r"no handler for .*#DF: the IDT .*has no gate for it"),
          "descriptors.Delivery.problem", ("qemu",), options=("--cpus", "1"), modules=("fault",)),
    Crash("no-ltr", "01", "kernel/gdt.c", (('lldt ax\\n\\t"\n                     "ltr %w2"', 'lldt ax"'),),
          ("a triple fault", "in ring 3 on CPU 0\n  in a program",
           "likely cause: .* a TSS at address 0: .* an `ltr` is missing"),
          "entry_faults.no_task_register"),
    Crash("tss-too-short", "01", "kernel/gdt.c", (("limit = sizeof(*tss) - 1;", "limit = 0;"),),
          ("a triple fault", "in ring 3 on CPU 0\n  in a program", r"#TS\(0x30\)",
           "likely cause: the TSS ends before rsp0 .* limit .*0x67"), "entry_faults.short_tss"),
    Crash("tss-base-of-32-bits", "01", "kernel/gdt.c", (("    gdt[SEL_TSS / 8 + 1] = base >> 32;\n", ""),),
          ("a triple fault", "in ring 3 on CPU 0\n  in a program",
           "likely cause: the CPU itself read at 0x8[0-9a-f]{7} .*the base of the TSS"), "entry_faults.bad_table"),
    Crash("double-fault-without-stack", "01", "kernel/idt.c", (("    idt[VECTOR_DF][0] |= GATE_IST(IST_DF);\n", ""),),
          ("a triple fault", r"#PF\(0x2\)", "write, by ring 0, no page", r"stages/01-gdt-tss/proof/overflow.c:\d+",
           "likely cause: a kernel stack overflow: .* guard page"), "page_faults.overflow", options=("--append", "overflow")),
    Crash("cr3-of-no-table", "01", "kernel/task.c",
          (("    write_cr3(task->space.cr3);", "    write_cr3(task->space.cr3 + 0x100000);"),),
          ("a triple fault", r"#PF", r"at run_next\+0x\w+ \S+/kernel/task.c:\d+",
           "likely cause: CR3 was loaded with 0x[0-9a-f]+, and those page tables do not map the code"), "page_faults.fetch"),
    Crash("nx-without-nxe", "05", "kernel/ap_entry.S",
          (("    mov     rax, offset kernel_pml4 - KERNEL_BASE\n",
            "    mov     ecx, MSR_EFER\n    rdmsr\n    and     eax, ~EFER_NXE\n    wrmsr\n"
            "    mov     rax, offset kernel_pml4 - KERNEL_BASE\n"),),
          ("a triple fault", "#PF", "on CPU 1", "a reserved bit is set",
           r"likely cause: .*bit 63 \(NX\).* EFER.NXE is 0"), "page_faults.reserved_bit", options=("--cpus", "2")),
    # A panic.
    Crash("rsp0-never-set", "01", "kernel/current.h", (("cpu_tss.rsp0 = top", "(void)top"),),
          (r"(interrupt 0x80|#DF: double fault) in ring 3 on CPU 0\n  in a program \(rip 0x",
           "likely cause: tss.rsp0 is 0, .*nobody has written it"),
          "entry_faults.bad_rsp0"),
    Crash("rsp0-of-no-stack", "01", "kernel/current.h", (("cpu_tss.rsp0 = top", "cpu_tss.rsp0 = top + 0x40000000"),),
          ("in ring 3 on CPU 0", "likely cause: tss.rsp0 is 0xffffc000400[0-9a-f]{5}, .* no memory is mapped below it"),
          "entry_faults.bad_rsp0"),
    Crash("syscall-without-swapgs", "03", "kernel/syscall_entry.S",
          (("                          swapgs                              /* 1. GS", "                          nop /* 1. GS"),),
          (r"on `mov +QWORD PTR gs:0x8,rsp`", "syscall_entry",
           "likely cause: the kernel uses gs: while GS base is 0, which no PCR has: a swapgs is missing"), "page_faults.wrong_gs",
          ("qemu",)),
    Crash("lstar-never-written", "03", "kernel/syscall_init.c",
          (("wrmsr(MSR_LSTAR, (uint64_t)syscall_entry);", "(void)syscall_entry;"),),
          (r"in ring 0 on CPU 0\n  at no code of the kernel \(rip 0x0,",
           "likely cause: SYSCALL went to IA32_LSTAR .* which is 0x0: "),
          "causes.syscall_target"),
    Crash("iretq-with-a-selector-beyond-the-gdt", "01", "kernel/program.c",
          ((".cs = SEL_USER_CODE,", ".cs = 0x43,"),),
          (r"#GP\(0x40\) on `iretq`", "selector 0x40, entry 8 of the GDT", r"likely cause: `iretq` takes .*0x40 from the frame"),
          "protection_faults.return_frame"),
    Crash("sysret-to-no-address", "04", "kernel/user_return.c", (),
          (r"#GP on `sysretq?`", "likely cause: `sysretq` to RCX = 0x800000000000, which is not canonical.*CVE-2012-0217"),
          "protection_faults.sysret", ("bochs",), modules=("edge attack",)),
    Crash("int3-left-in-the-code", "04", "kernel/switch.S", (("popfq", "int3"),),
          (r"#BP on `int3`: breakpoint in ring 0",
           r"at switch_stacks.step4\+0x0 \S+/kernel/switch.S:31 .*rip 0x\w+, behind it",
           "likely cause: an INT3 of a debugger's, or one left in the code"), "causes.trap"),
    Crash("int1-left-in-the-code", *in_main("01", '__asm__ volatile(".byte 0xf1");'),
          (r"#DB on `(int1|icebp)`: debug in ring 0", r"at kernel_main\+0x\w+ \S+/kernel/main.c:\d+ .*, behind it",
           "likely cause: an INT1 .*left in the code"), "causes.trap", ("bochs",)),      # QEMU 7.2 says #UD
    Crash("call-of-null", *in_main("05", "void (*volatile nothing)(void) = NULL; nothing();"),
          (r"#PF\(0x10\): page fault in ring 0 on CPU 0", "instruction fetch, by ring 0, no page",
           r"likely cause: a call, jump or ret to address 0"), "page_faults.fetch"),
    Crash("caller-of-null", *in_main("05", "void (*volatile nothing)(void) = NULL; nothing();"),
          (r"#PF\(0x10\)", r"likely cause: .* address 0; it was in kernel_main \(called at kernel_start\+0x\S+ "
           r"\S+boot.S:\d+\) or in what that has called"), "page_faults.came_from"),
    Crash("call-of-data", *in_main("05", "static char data[16]; void (*volatile wrong)(void) = (void (*)(void))data; wrong();"),
          (r"#PF\(0x11\)", "instruction fetch, by ring 0, the page is there", r"likely cause: a jump to data: .*\(NX\)"),
          "page_faults.fetch"),
    Crash("touch-of-a-program", "03", "kernel/syscall.c",
          (("    uint64_t flags = lock_acquire(&console_lock);\n    long written",
            "    *(volatile char *)frame->rsi = *(volatile char *)frame->rsi;\n"
            "    uint64_t flags = lock_acquire(&console_lock);\n    long written"),),
          (r"#PF\(0x1\)", r"at sys_write\+0x\w+ \S+/kernel/syscall.c:\d+", "likely cause: SMAP: ring 0 touches a program's memory"),
          "page_faults.user_page"),
    Crash("write-to-code", *in_main("01", "*(volatile char *)kernel_cr3 = 0;"),
          (r"#PF\(0x3\)", "write, by ring 0, the page is there",
           r"likely cause: a write to the kernel's own code \(kernel_cr3"), "page_faults.read_only"),
    Crash("member-of-null", *in_main("02", "struct task *volatile none = NULL; printk(\"%u\", none->id);"),
          (r"#PF in ring 0|#PF:|#PF on", r"likely cause: a null pointer is followed"), "page_faults.null_pointer"),
    Crash("reserved-bit", *in_main("01", "uint64_t *entry = page_entry(kernel_pml4, DIRECT_BASE, 1, false); "
                                   "*entry |= 1ul << 50; invlpg(DIRECT_BASE); (void)*(volatile char *)DIRECT_BASE;"),
          (r"#PF\(0x[89]\)", "read, by ring 0, a reserved bit is set", "likely cause: .* has a (reserved bit set|bit set that is reserved)"),
          "page_faults.reserved_bit"),
    Crash("lstar-not-canonical", "03", "kernel/syscall_init.c",
          (("wrmsr(MSR_LSTAR, (uint64_t)syscall_entry);", "wrmsr(MSR_LSTAR, (uint64_t)syscall_entry & ~(1ul << 63));"),),
          (r"#GP on `wrmsr`", "likely cause: `wrmsr` to LSTAR of 0x7fffffff[0-9a-f]+, which is not canonical"),
          "protection_faults.model_specific", ("bochs",)),
    Crash("reserved-bit-of-cr4", *in_main("01", "write_cr4(read_cr4() | 1ul << 40);"),
          (r"#GP on `mov +cr4,", "likely cause: CR4 does not take 0x100000000[0-9a-f]{2}:"), "protection_faults.control_register",
          ("bochs",)),      # QEMU 7.2 does not fault, and never gets behind the instruction
    Crash("stack-pointer-of-nobody", *in_main("01", '__asm__ volatile("mov rsp, 0x1234560; push rax");'),
          (r"#PF\(0x2\) on `push +rax`", "likely cause: `push` with RSP = 0x1234560, which is no kernel stack"),
          "page_faults.bad_stack", ("qemu",)),
    Crash("garbage-pointer", *in_main("01", "struct task *volatile none = (void *)0x6b6b6b6b6b6b6b6b; none->id = 1;"),
          (r"#GP on `mov", r"likely cause: the address 0x6b6b6b6b6b6b6b\w+ \(\S+\) is not canonical: the pointer is garbage"),
          "protection_faults.not_canonical"),
    # A hang.
    Crash("lock-taken-twice", *in_main("05", "lock_acquire(&console_lock); printk(\"never\");"),
          # The loop is lock.h's, and the PAUSE in it x86.h's.
          ("time-out", r"CPU 0: waits for the lock console_lock .*next \d+, called \d+\), IF=0, at .*(lock|x86).h:\d+",
           r"called from kernel_main\+0x", "likely cause: the lock console_lock .* takes it a second time"),
          "hang.Hang.locks", code=124),
    Crash("locks-crosswise", "05", "kernel/main.c",
          (("    program_init(info);", "    extern struct lock one, other; extern volatile int ready; lock_acquire(&one); ready = 1;\n"
            "    while (ready < 2) pause();\n    lock_acquire(&other);\n    program_init(info);"),
           ("    sched_init();  ", "    extern struct lock one, other; extern volatile int ready;\n"
            "    if (this_cpu->cpu == 1) { lock_acquire(&other); while (ready < 1) pause(); ready = 2; lock_acquire(&one); }\n"
            "    sched_init();  "),
           ("_Noreturn void kernel_main", "struct lock one, other; volatile int ready;\n\n_Noreturn void kernel_main")),
          ("time-out", "CPU 0: waits for the lock other", "CPU 1: waits for the lock one", "likely cause: a deadlock: "),
          "hang.Hang.locks", options=("--cpus", "2"), code=124),
    Crash("nobody-ticks", "04", "kernel/main.c", (("    clock_start_ticks();", "    (void)clock_start_ticks;"),),
          ("time-out", "CPU 0: halted, IF=1, at .*sched_idle", "likely cause: .* a wake-up was lost"),
          "hang.Hang.all_halted", modules=("nap",), code=124),
    Crash("halt-without-sti", "04", "kernel/sched.c", (('"sti; hlt"', '"hlt"'),),
          ("time-out", "CPU 0: halted, IF=0, at .*sched_idle", r"likely cause: .*halted with interrupts off \(IF=0\)"),
          "hang.Hang.all_halted", modules=("nap",), code=124),
    Crash("wait-with-interrupts-off", *in_main("05", "static volatile int ready; cli(); while (!ready) pause();"),
          ("time-out", r"CPU 0: goes round a loop that reads ready\S* \(0x[0-9a-f]+\), IF=0",
           r"likely cause: CPU 0 waits for ready\S* \(0x[0-9a-f]+\) to change with interrupts off"),
          "hang.Hang.waits_without_interrupts", code=124),
]
