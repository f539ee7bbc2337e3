# 32-bit code: ring 3 has no segment for it, so nobody comes to the 32-bit entries. Here one is added to the GDT, and
# the second line of defence is tried: what IA32_CSTAR and IA32_SYSENTER_CS hold; and then taken away.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import pytest
from claims.changes import attempt, change, layer, on_top
from differential.runs import module

TSS = "    gdt[SEL_TSS / 8] ="
SEGMENT = ("kernel/gdt.c", (TSS, f"    gdt[SEL_USER_CODE32 / 8] = GDT_CODE32 | GDT_RING_3;\n{TSS}"))
NO_CSTAR = ("kernel/syscall_init.c", ("    wrmsr(MSR_CSTAR, (uint64_t)syscall32_entry);\n", ""))
NO_SYSENTER_CS = ("kernel/syscall_init.c", ("wrmsr(MSR_SYSENTER_CS, 0);", "wrmsr(MSR_SYSENTER_CS, SEL_KERNEL_CODE);"))
ENOSYS = 38
MODULES = [module("compat", "1b", "nothing"), module("hello")]
# Without SMAP: in QEMU a far return in ring 3 reads its stack as the kernel would.
MACHINES = [("qemu", "qemu64"), ("qemu", "Haswell"), ("bochs", "ryzen"), ("bochs", "athlon64_clawhammer"),
            ("bochs", "corei7_sandy_bridge_2600k")]


def run(what: str, emulator: str, model: str, *changes):
    folder = layer(f"compat-{what}" + "-broken" * bool(changes), *[change("05", *each) for each in (SEGMENT, *changes)])
    result = attempt("05", [*MODULES, module("compat", "1b", what)], *on_top(folder), "--emulator", emulator,
                     "--cpu-model", model)
    return result, {task.command: (task.killed_by, task.status) for task in result.tasks}


@pytest.mark.parametrize("emulator, model", MACHINES)
def test_syscall_from_32_bit_code(emulator, model):
    """On Intel's CPUs it is no instruction there; QEMU has it on each model, as AMD's CPUs have."""
    result, ends = run("syscall", emulator, model)
    intel = emulator == "bochs" and model.startswith("core")
    assert result.code == 0
    assert ends == {"hello": ("", 0), "compat 1b nothing": ("", 99),
                    "compat 1b syscall": ("#UD", 132) if intel else ("", ENOSYS)}


@pytest.mark.parametrize("emulator, model", [("qemu", "qemu64"), ("bochs", "ryzen")])
def test_cstar_must_be_set(emulator, model):
    """Else ring 0 executes what the program has put at address 0, or fails to."""
    result, ends = run("syscall", emulator, model, NO_CSTAR)
    assert result.code == 1 and "compat 1b syscall" not in ends


@pytest.mark.parametrize("emulator, model", MACHINES)
def test_sysenter_from_32_bit_code(emulator, model):
    result, ends = run("sysenter", emulator, model)
    assert result.code == 0
    assert ends == {"hello": ("", 0), "compat 1b nothing": ("", 99), "compat 1b sysenter": ("#GP", 139)}


@pytest.mark.parametrize("emulator, model", [("qemu", "Haswell"), ("bochs", "corei7_sandy_bridge_2600k")])
def test_sysenter_must_be_off(emulator, model):
    result, ends = run("sysenter", emulator, model, NO_SYSENTER_CS)
    assert result.code == 1 and "compat 1b sysenter" not in ends
