# Executes what ring 3 may not, and what faults, once each: the program must end with Linux's exit status and the
# kernel must live. The expected end is the project's own table; Linux on this host must agree with it, but for a
# list of differences with their reasons.
# SPDX-License-Identifier: MIT
#
# Seen to fail: with the I/O permission bitmap's base at 0 (in_keyboard), with DPL 3 in the gate of #PF (int 14), with
# `cld` left out of the interrupt entry (in stage 03, which loads the next program after a fault with DF set).
from __future__ import annotations

import pytest
from runs import good_boot, module, run_on_host

SURVIVED = 99

# The exit status that each exception gives: 128 + the number of Linux's signal.
# #GP too, but the address says how it came about: the program ran or jumped to where user space ends.
LEAVES = "leaving user space"
STATUS = {
    "#DE": 136, "#MF": 136, "#XM": 136,
    "#DB": 133, "#BP": 133,
    "#UD": 132,
    "#SS": 135, "#AC": 135, "#NP": 135,
    "#GP": 139, "#PF": 139, LEAVES: 139,
    "": SURVIVED,
}

# How each of trap's instructions ends; "" for one that is allowed.
TRAPS = {
    "nothing": "", "syscall": "", "syscall_hole": "",
    "de": "#DE", "de_overflow": "#DE",
    "bp": "#BP", "icebp": "#DB", "syscall_tf": "#DB", "syscall_tf_nt": "#DB",
    "ud": "#UD", "lock_nop": "#UD", "monitor": "#UD",
    "mf": "#MF", "xm": "#XM",
    "ss_hole_read": "#SS", "ac_read": "#AC",
    "pf_null_read": "#PF", "pf_null_write": "#PF", "pf_null_call": "#PF",
    "pf_kernel_read": "#PF", "pf_kernel_write": "#PF", "pf_kernel_call": "#PF",
    "pf_text_write": "#PF", "pf_data_call": "#PF", "pf_stack_call": "#PF", "gs_null_read": "#PF",
    "gp_hole_read": "#GP", "gp_hole_call": LEAVES,
    "cli": "#GP", "sti": "#GP", "hlt": "#GP",
    "lgdt": "#GP", "lidt": "#GP", "lldt": "#GP", "ltr": "#GP",
    "rdmsr": "#GP", "wrmsr": "#GP", "rdpmc": "#GP",
    "mov_from_cr0": "#GP", "mov_to_cr0": "#GP", "mov_to_cr3": "#GP", "mov_to_cr4": "#GP", "mov_to_cr8": "#GP",
    "mov_to_dr7": "#GP", "clts": "#GP", "lmsw": "#GP",
    "swapgs": "#GP", "sysretq": "#GP", "invlpg": "#GP", "invd": "#GP", "wbinvd": "#GP",
    "in_keyboard": "#GP", "in_timer": "#GP", "in_serial": "#GP", "in_last": "#GP",
    "out_zero": "#GP", "out_pci": "#GP", "outs": "#GP",
    "ds_kernel": "#GP", "ds_beyond": "#GP", "ss_null": "#GP",
    "iretq_ring0": "#GP", "lretq_ring0": "#GP", "lretq_1b": "#GP", "lretq_23": "#GP", "lretq_tss": "#GP",
    "sysenter": "#GP",
    "rdgsbase": "#UD", "wrgsbase": "#UD", "xgetbv": "#UD",
    "sgdt": "#GP", "sidt": "#GP", "smsw": "#GP", "str": "#GP", "sldt": "#GP",
    "push_hole": "#SS", "pop_hole": "#SS",
    "ud0": "#UD", "ud1": "#UD", "into": "#UD", "push_cs": "#UD", "far_jump": "#UD", "f00f": "#UD", "rsm": "#UD",
    "clac": "#UD", "stac": "#UD", "mwait": "#UD", "vmcall": "#UD", "vmmcall": "#UD", "vmxon": "#UD",
    "xsetbv": "#UD", "vzeroupper": "#UD",
    "mov_from_cr2": "#GP", "mov_from_cr3": "#GP", "mov_from_cr4": "#GP", "mov_from_cr8": "#GP",
    "mov_from_dr0": "#GP", "mov_to_dr0": "#GP", "sysretl": "#GP", "sysexit": "#GP", "wbnoinvd": "#GP",
    "in_status": "#GP", "in_cmos": "#GP", "ins": "#GP", "out_pic": "#GP",
    "popfq_iopl": "#GP", "popfq_if": "", "iretq_iopl": "#GP", "ldmxcsr_reserved": "#GP",
    "ss_kernel": "#GP", "ds_ldt": "#GP", "call_ldt": "#GP",
}

# Where Linux on the host may rightly do otherwise.
LINUX_DIFFERS = {
    "rdgsbase": "Linux sets CR4.FSGSBASE",
    "wrgsbase": "Linux sets CR4.FSGSBASE",
    "xgetbv": "Linux sets CR4.OSXSAVE",
    "sgdt": "Linux answers in place of a CPU with UMIP, and the host may have none",
    "sidt": "as sgdt",
    "smsw": "as sgdt",
    "str": "as sgdt",
    "sldt": "as sgdt",
    "xsetbv": "Linux sets CR4.OSXSAVE",
    "vzeroupper": "Linux sets CR4.OSXSAVE",
    "vmcall": "a hypervisor below Linux may answer",
    "vmmcall": "as vmcall",
    "sysexit": "as sysenter",
    "sysenter": "a way into Linux on Intel's CPUs, no instruction in long mode on AMD's",
    "lretq_23": "the selector of Linux's 32-bit user code",
    "int 128": "Linux's 32-bit system call",
}

FAR_RETURNS = ("iretq_ring0", "iretq_iopl", "lretq_ring0", "lretq_1b", "lretq_23", "lretq_tss")

# Where QEMU 7.2 (TCG) does not do what a CPU does.
QEMU_DIFFERS = {
    "ac_read": "",              # it never raises #AC
    "ss_hole_read": "#GP",      # it does not tell the stack's accesses from others
    "push_hole": "#GP", "pop_hole": "#GP",
    "xm": "",                   # nor #XM
    "ldmxcsr_reserved": "",     # nor looks at bits of MXCSR that do not exist
    "xsetbv": "#GP",            # it looks at the ring before CR4
    "icebp": "#UD",             # it does not know the instruction
    "sysenter": "#UD",          # its default model is AMD's, which has no such instruction in long mode
    "sysexit": "#UD",           # as sysenter
    # It reads the stack of a far return in ring 3 as the kernel would, which SMAP forbids.
    **dict.fromkeys(FAR_RETURNS, "#PF"),
}

# Without UMIP these are allowed.
UMIP = ("sgdt", "sidt", "smsw", "str", "sldt")

# Bits of rflags that must do no harm in the kernel: DF, NT, AC, ID, all of them with OF.
FLAGS = ["400", "4000", "40000", "200000", "244c00"]
TF = "100"
STACKS = ["0", "7", "ffffffff80000000", "dead000000000000"]
# The ways into the kernel that are tried with each of them.
WAYS = ["ud", "bp", "de", "pf_null_read", "gp_hole_read", "cli", "syscall"]


def expected_ends() -> dict[str, str]:
    """Each argument line of trap, with the exception that ends it."""
    ends = dict(TRAPS)
    ends.update({f"{way} {flags}": TRAPS[way] for way in WAYS for flags in FLAGS})
    ends.update({f"{way} 244c00 {stack}": TRAPS[way] for way in WAYS for stack in STACKS})
    # TF stops a program after its next instruction, before it gets to the one in question.
    ends.update({f"{way} {TF} {stack}": "#DB" for way in ("ud", "syscall") for stack in STACKS})
    return ends


def interrupt_end(number: int) -> str:
    """`int 3` is a breakpoint; no other gate is open to ring 3."""
    return "#BP" if number == 3 else "#GP"


def check_log(tasks, ends: dict[str, str]) -> None:
    found = {task.command.removeprefix("trap "): (task.killed_by, task.status) for task in tasks}
    assert found == {words: (end, STATUS[end]) for words, end in ends.items()}


def test_linux_agrees():
    """The table against the host; each listed difference must be one of the table's rows."""
    ends = expected_ends() | {f"int {n}": interrupt_end(n) for n in range(256)}
    assert set(LINUX_DIFFERS) <= set(ends)
    wrong = {}
    for words, end in ends.items():
        status = run_on_host("trap", *words.split()).status
        if status != STATUS[end] and words not in LINUX_DIFFERS:
            wrong[words] = status
    assert wrong == {}


@pytest.mark.parametrize("stage", ["03", "05"])
def test_traps(stage):
    ends = expected_ends() | QEMU_DIFFERS
    check_log(good_boot(stage, [module("trap", *words.split()) for words in ends], timeout=120).tasks, ends)


def test_every_interrupt_number():
    """256 copies, of which each takes the number that its task has: `int 0` to `int 255`, once each."""
    tasks = good_boot("05", [module("trap", "int", "pid", copies=256)], "--cpus", "2", timeout=120).tasks
    assert {task.number & 255 for task in tasks} == set(range(256))
    for task in tasks:
        end = interrupt_end(task.number & 255)
        assert (task.killed_by, task.status) == (end, STATUS[end]), f"int {task.number & 255}"


@pytest.mark.needs("bochs")
def test_traps_in_bochs():
    """What only Bochs does as a CPU does, and the ways in with the flags that it passes on."""
    names = ["ac_read", "ss_hole_read", "icebp", "gp_hole_read", "gp_hole_call", "syscall_hole", "sysenter",
             "in_keyboard", "mf", "xm", "push_hole", "pop_hole", "ldmxcsr_reserved", "xsetbv", "sysexit", "popfq_iopl",
             "f00f", *FAR_RETURNS]
    # The jump itself faults, as on Intel's CPUs, and not the first instruction at its target.
    ends = {name: TRAPS[name] for name in names} | {"gp_hole_call": "#GP"}
    ends.update({f"{way} 244c00 {stack}": TRAPS[way] for way in ("ud", "syscall") for stack in STACKS})
    ends.update({f"{way} {TF}": "#DB" for way in ("ud", "syscall")})
    boot = good_boot("05", [module("trap", *words.split()) for words in ends], "--emulator", "bochs", timeout=120)
    check_log(boot.tasks, ends)


def test_older_cpu():
    """An Intel CPU without UMIP and SMAP: it tells ring 3 where its tables are, which must be harmless."""
    ends = {name: "" for name in UMIP} | {name: TRAPS[name] for name in (*FAR_RETURNS, "sysenter", "pf_data_call")}
    check_log(good_boot("05", [module("trap", name) for name in ends], "--cpu-model", "Haswell").tasks, ends)
