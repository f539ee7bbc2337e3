# What the entry code and C have promised each other: the C functions that assembly may call, and the places where the
# instructions may stand that change GS, IF, or what belongs to the machine. All that is not in these lists is an error.
# Used by rules.py and sweep.py; docs/maintaining/static-checks.md says how to add a line.
# SPDX-License-Identifier: MIT
from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple


@dataclass(frozen=True)
class Contract:
    """A C function that assembly calls."""

    interrupts: Tuple[int, ...]         # IF at the call
    stacks: Tuple[str, ...]             # on which it may run
    frame: bool = False                 # RDI is the struct trap_frame, which is complete
    returns: bool = True
    gs: str = "pcr"
    needs_result: str = ""              # this function's result must be in frame.rax


CONTRACTS = {
    # On an IST stack as well in stages 01 and 02, which have no paranoid entry: rules.py allows it there.
    "trap": Contract((0,), ("task", "kernel"), frame=True),
    "paranoid": Contract((0,), ("ist",), frame=True),
    "syscall_dispatch": Contract((1,), ("task",), frame=True),
    "user_return": Contract((0,), ("task",), frame=True, needs_result="syscall_dispatch"),
    "switch_end": Contract((0,), ("task",)),
    "thread": Contract((1,), ("task",)),                            # thread_begin: call rbx
    "task_end": Contract((0, 1), ("task",), returns=False),         # a thread may end with interrupts off
    "kernel_main": Contract((0,), ("boot",), returns=False, gs="none"),
    "ap_main": Contract((0,), ("task",), returns=False, gs="none"),
}

# The inline functions of x86.h that are one instruction; the place of it is the function that they are used in.
WRAPPERS = {"cli", "sti", "hlt", "pause", "wrmsr", "rdmsr", "invlpg", "fxrstor", "cpuid", "rdtsc", "inb", "outb",
            "read_rflags", *(f"{verb}_{name}" for verb in ("read", "write") for name in
                             ("cr0", "cr2", "cr3", "cr4", "dr6"))}

# Instruction, and the routines that may hold it: of assembly with the number of times, of C without.
PLACES: dict[str, dict[str, int]] = {
    "swapgs": {"syscall_entry": 2, "interrupt_entry": 1, "interrupt_return": 1, "ist_entry": 1},
    "sysret": {"syscall_entry": 1, "syscall32_entry": 1},
    "iretq": {"interrupt_return": 2, "paranoid_entry": 1},
    "lfence": {"interrupt_entry": 1, "ist_entry": 1},
    "sti": {"syscall_entry": 1, "thread_begin": 1, "lock_release": 0, "schedule": 0, "sched_sleep_until": 0,
            "sched_idle": 0},
    "cli": {"syscall_entry": 1, "lock_acquire": 0, "machine_exit": 0, "panic_begin": 0, "sched_sleep_until": 0,
            "sched_idle": 0},
    "hlt": {"ap_start": 1, "boot_fail": 1, "machine_exit": 0, "sched_idle": 0, "join": 0, "stop_other_cpus": 0,
            "stop_or_count": 0, "run_next": 0, "kernel_main": 0},
    "popfq": {"switch_stacks": 1},
    "cld": {"interrupt_entry": 1, "paranoid_entry": 1, "boot_entry": 1},
    "std": {},
    "clac": {"interrupt_entry": 1, "ist_entry": 1, "paranoid_entry": 1, "user_copy_bytes": 1},
    "stac": {"user_copy_bytes": 1},
    "wrmsr": {"paranoid_entry": 2, "enter_long_mode": 1, "pcr_init": 0, "syscall_init": 0, "lapic_init": 0,
              "user_state_load": 0, "user_state_reset": 0, "sys_arch_prctl": 0, "stop_other_cpus": 0},
    "write cr0": {"enter_long_mode": 1, "ap_trampoline": 1, "protect_init": 0},
    "write cr3": {"enter_long_mode": 1, "ap_start": 1, "paging_init": 0, "switch_to": 0, "run_next": 0, "task_exit": 0},
    "write cr4": {"enter_long_mode": 1, "protect_init": 0},
    "write dr6": {"debug_in_kernel": 0},
    "write segment": {"gdt_load": 0, "ap_trampoline": 1},
    "lgdt": {"gdt_load": 0, "enter_long_mode": 1, "ap_trampoline": 1},
    "lidt": {"idt_load": 0},
    "ltr": {"gdt_load": 0},
    "lldt": {"gdt_load": 0},
    "retfq": {"gdt_load": 0},
    "fxsave64": {"user_state_save": 0},
    "fxrstor64": {"user_state_load": 0, "user_state_reset": 0},
    # Addresses below RSP that are computed and not used as they are: ist_entry's, of the frame as it would be.
    "address below rsp": {"ist_entry": 1},
}
# What only proof/ and test/ hold: those are not the kernel's own.
PROOFS = {"popfq": {"switch_stacks_with_flags": 2}, "cli": {"switch_often": 0, "schedule_with_flags": 0},
          "sti": {"switch_often": 0, "schedule_with_flags": 0}}

# Where an instruction must stand, from one stage to another: in a loop that waits, and where nothing is left to do.
# Nothing that runs in an emulator would fail without it. (LFENCE is explore.py's: it follows the paths.)
REQUIRED: dict[str, dict[str, tuple[str, str]]] = {
    "pause": {"machine_exit": ("00", "99"), "console_put": ("00", "99"), "pit_wait": ("04", "99"),
              "clock_delay": ("04", "99"), "lock_acquire": ("05", "99"), "ipi_send": ("05", "99"),
              "stop_other_cpus": ("05", "99"), "smp_start": ("05", "99")},
    "hlt": {"machine_exit": ("00", "99"), "kernel_main": ("00", "00"), "run_next": ("01", "03"),
            "sched_idle": ("04", "99"), "ap_start": ("05", "99"), "join": ("05", "99"),
            "stop_or_count": ("05", "99"), "stop_other_cpus": ("05", "99")},
}
