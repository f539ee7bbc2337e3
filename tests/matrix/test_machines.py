# The last stage on many machines: numbers of CPUs, CPU models, amounts of memory, in both emulators; each value at
# least once, not all combinations. And machines on which it cannot run, which must be told why.
# SPDX-License-Identifier: MIT
#
# Seen to fail: with stacks for seven CPUs only (16), with APIC ids taken for CPU numbers (gaps), with the CPUs started
# that are marked as not enabled, with ACPI 1.0's RSDP not looked for, with SMAP among the required features (qemu64),
# with none required (missing features), with lengths of memory in 32 bits (above 4 GiB), with
# the tests for long mode and for NX left out.
from __future__ import annotations

import re

import pytest
from claims.changes import variant
from differential.runs import boot, good_boot
from matrix.cpus import Cpu, cpu_table

# Programs that end well, are killed, sleep, and take turns: little work, but some of each kind. The naps are long
# enough for each CPU to see some ticks meanwhile.
WORK = ["hello one two", "fault", "fault gp", "yield copies=4", "nap 50"]
ENDS = [("fault", 139), ("fault gp", 139), ("hello one two", 0), ("nap 50", 0)] + [("yield", 0)] * 4

GIB4 = 1 << 32
DIRECT_BASE = 0xffff800000000000


def check_machine(*options: str, cpus: int, timeout: int = 60) -> list[Cpu]:
    """Boots it; every CPU must take part and every program end as it should. Gives the table of CPUs."""
    result = good_boot("05", WORK, "--cpus", str(cpus), *options, timeout=timeout)
    assert sorted((task.command, task.status) for task in result.tasks) == ENDS
    assert b"does not answer" not in result.log
    table = cpu_table(result.log)
    assert [cpu.number for cpu in table] == list(range(cpus))
    assert all(cpu.ticks for cpu in table), "a CPU without a tick does not run"
    for field in ("apic_id", "pcr"):
        assert len({getattr(cpu, field) for cpu in table}) == cpus, f"two CPUs share their {field}"
    # The calls that WORK makes at least: exit of those that are not killed, 2 lines of hello, 4 turns with a line each.
    assert sum(cpu.syscalls for cpu in table) >= 6 + 2 + 4 * 8
    return table


@pytest.mark.parametrize("cpus, model, memory", [
    (1, "qemu64", 32),
    (2, "Nehalem", 3072),
    (3, "Haswell", 64),
    (4, "EPYC", 6144),
    (8, "Haswell-noTSX", 128),
    (16, "max", 128),
    (64, "max", 512),
])
def test_qemu(cpus, model, memory):
    check_machine("--cpu-model", model, "--memory", str(memory), cpus=cpus, timeout=120)


@pytest.mark.needs("bochs")
@pytest.mark.parametrize("cpus, model, memory", [
    (1, "corei7_sandy_bridge_2600k", 32),
    (2, "ryzen", 1024),
    (2, "athlon64_clawhammer", 128),
    (4, "corei7_skylake_x", 128),
])
def test_bochs(cpus, model, memory):
    check_machine("--emulator", "bochs", "--cpu-model", model, "--memory", str(memory), cpus=cpus, timeout=120)


def test_gaps_in_apic_ids():
    """Three cores in a socket leave a fourth id unused."""
    table = check_machine("--topology", "sockets=2,cores=3,threads=1", cpus=6)
    assert {cpu.apic_id for cpu in table} == {0, 1, 2, 4, 5, 6}


def test_cpus_that_are_not_there_yet():
    """The firmware lists four CPUs, of which two are marked as not enabled: nobody waits for those."""
    check_machine("--topology", "maxcpus=4", cpus=2)


def test_frames_above_4_gib():
    """With all others taken away there are page tables, stacks, PCRs and programs above 4 GiB. (On a machine with 3 GiB
    there is nothing left.)"""
    take = f"for (uint64_t frame = 1; frame && frame < {GIB4}; frame = frame_alloc())\n        ;\n"
    before = "paging_init(info);\n"
    only_high = variant("only-high", "05", "kernel/main.c", (before, f"{before}    {take}"))
    table = check_machine("--memory", "6144", "--layer", only_high, cpus=2)
    assert table[1].pcr >= DIRECT_BASE + GIB4
    assert boot("05", WORK, "--memory", "3072", "--layer", only_high).code == 1


@pytest.mark.needs("bochs")
def test_x2apic_mode_is_refused():
    """Firmware of large machines turns it on. Nothing would be seen of it: the registers in memory are gone. (Seen to
    fail without the test in lapic_init().)"""
    turn_on = "wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | 0x400);"
    changed = variant("x2apic", "05", "kernel/main.c", ("    lapic_init();\n", f"    {turn_on}\n    lapic_init();\n"))
    result = boot("05", WORK, "--layer", changed, "--emulator", "bochs", "--cpu-model", "corei7_skylake_x")
    assert result.code == 1
    assert re.search(rb"\npanic: CPU 0: the local APIC \(0xfee00[0-9a-f]{3}\) is out of reach, or in x2APIC mode", result.log)


@pytest.mark.parametrize("feature", ["syscall", "fxsr", "apic"])
def test_missing_feature_is_named(feature):
    """The first stage says so already, before it uses any of them."""
    result = boot("00", [], "--cpu-model", f"qemu64,-{feature}")
    assert result.code == 1
    assert f"panic: CPU 0: this CPU has no {feature}, and ringstep needs it\n".encode() in result.log


NO_LONG_MODE = b"ringstep: this CPU has no long mode with NX; ringstep needs a 64-bit x86 CPU\n"


@pytest.mark.parametrize("model", ["qemu32", "qemu64,-nx"])
def test_cpu_without_long_mode(model):
    """In QEMU, whose COM1 is ready from the start."""
    result = boot("00", [], "--cpu-model", model)
    assert (result.code, result.log) == (1, NO_LONG_MODE)


@pytest.mark.needs("bochs")
def test_cpu_without_long_mode_in_bochs():
    result = boot("00", [], "--emulator", "bochs", "--cpu-model", "core_duo_t2400_yonah")
    assert (result.code, result.log) == (1, NO_LONG_MODE)
