# What stage 00 claims: it shows the memory and the CPU of the machine it is on, and no page is both writable and
# executable. Where the second case is called broken, the kernel is changed so that the claim must fail.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import re

import pytest
from claims.changes import attempt, on_top, variant
from differential.runs import good_boot

MIB = 1 << 20
MEMORY = re.compile(rb"^memory: ([0-9a-f]{12})-([0-9a-f]{12}) (available|reserved)$", re.MULTILINE)


@pytest.mark.parametrize("emulator, model, cpu", [
    ("qemu", "qemu64", b"AuthenticAMD: apic fxsr nx syscall"),
    ("qemu", "Nehalem", b"GenuineIntel: apic fxsr nx syscall"),
    ("qemu", "max,la57=off,-smap", b"AuthenticAMD: apic fxsr nx syscall smep umip fsgsbase"),
    ("bochs", "corei7_skylake_x", b"GenuineIntel: apic fxsr nx syscall smep smap fsgsbase"),
])
def test_cpu_is_as_it_is(emulator, model, cpu):
    """(Seen to fail with SMEP's bit taken for SMAP's.)"""
    log = good_boot("00", [], "--emulator", emulator, "--cpu-model", model).log
    assert b"\ncpu: %s\n" % cpu in log


@pytest.mark.parametrize("emulator, memory", [("qemu", 32), ("qemu", 6144), ("bochs", 64)])
def test_memory_map(emulator, memory):
    """All of the machine's memory is there, but for what its firmware keeps, and nothing is there twice. (Seen to fail
    with lengths of 32 bits, and with the map's entry_size taken for 20.)"""
    log = good_boot("00", [], "--emulator", emulator, "--memory", str(memory)).log
    areas = sorted((int(start, 16), int(end, 16)) for start, end, kind in MEMORY.findall(log) if kind == b"available")
    available = sum(end - start for start, end in areas)
    assert (memory - 1) * MIB < available < memory * MIB
    assert all(before[1] <= after[0] for before, after in zip(areas, areas[1:]))


def test_modules_are_shown(tmp_path):
    """(Seen to fail without the call of show_modules().)"""
    module = tmp_path / "something"
    module.write_bytes(bytes(12345))
    log = good_boot("00", [f"{module} one two"]).log
    assert b"\nmodule: 12345 bytes: something one two\n" in log


# What W^X hangs on, and the self-test that must notice.
WRITABLE_TEXT = ("writable-text", ("map_image(text_start, text_end, 0)", "map_image(text_start, text_end, PTE_WRITE)"))
EXECUTABLE_DATA = ("executable-data", ("map_image(rodata_end, boot_stack_guard, PTE_WRITE | PTE_NX)",
                                       "map_image(rodata_end, boot_stack_guard, PTE_WRITE)"))
WRITABLE_ALIAS = ("writable-alias", ("(uint64_t)(rodata_end - text_start), PTE_NX)",
                                     "(uint64_t)(rodata_end - text_start), PTE_WRITE | PTE_NX)"))


@pytest.mark.parametrize("broken", ["", WRITABLE_TEXT, EXECUTABLE_DATA, WRITABLE_ALIAS],
                         ids=lambda broken: broken[0] if broken else "sound")
def test_no_page_is_writable_and_executable(broken):
    """The in-kernel tests walk the page tables."""
    changed = variant(broken[0], "00", "kernel/paging.c", broken[1]) if broken else ""
    result = attempt("00", [], "--append", "selftest", *on_top(changed))
    assert (result.code == 0) is not bool(broken), result.log.decode(errors="replace")
    assert (b"\nnot ok " in result.log) is bool(broken)
