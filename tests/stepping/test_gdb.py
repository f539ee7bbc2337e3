# `make gdb` as a person uses it, in a terminal.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

import pexpect
import pytest

from harness import ROOT, alive, children, wait_until
from layers import stage_folders
from machine.walk import load_walk, walk_files

pytestmark = pytest.mark.needs("gdb", "qemu", "grub")
GDB = [sys.executable, str(ROOT / "tools/gdb")]
PROMPT = "(gdb) "
WALKS = [(stage, path) for stage in stage_folders() for path in walk_files(stage).values()]
MODE_SWITCH = """
title = "From 32-bit code to 64-bit code"
[[point]]
at = "boot_entry"
expect = ["cr0 & 0x80000001 == 1", "rax == 0x36d76289"]
why = "Where GRUB leads."
[[point]]
at = "enter_long_mode"
expect = ["cr0 & 0x80000001 == 1", "cr4 & 0x20 == 0"]
why = "Still 32-bit code."
[[point]]
at = "kernel_start"
expect = ["cr0 & 0x80000001 == 0x80000001", "rip == kernel_start"]
why = "64-bit code."
"""


def descendants(pid: int) -> list[int]:
    return [one for child in children(pid) for one in [child, *descendants(child)]]


class Terminal(pexpect.spawn):
    """A terminal in which `make gdb` runs."""

    def __init__(self, folder: Path, command: list[str]):
        super().__init__(command[0], command[1:], timeout=60, encoding="utf-8", dimensions=(50, 110), cwd=str(ROOT),
                         env={**os.environ, "TMPDIR": str(folder), "TERM": "dumb"})
        self.started: set[int] = {self.pid}

    def text_above(self) -> str:
        """Waits for the next prompt, and gives what stands above it."""
        self.expect_exact(PROMPT)
        self.started.update(descendants(self.pid))
        return self.before.replace("\r\n", "\n")

    def answer(self, text: str) -> str:
        """Types a command, and gives what comes of it."""
        self.sendline(text)
        return self.text_above().partition("\n")[2]

    def value(self, expression: str) -> int:
        """What GDB itself says of an expression."""
        return int(re.search(r"= (0x[0-9a-f]+)", self.answer(f"p/x {expression}"))[1], 16)

    def has_ended(self, folder: Path) -> None:
        """Asserts that nothing is left."""
        assert wait_until(lambda: not any(map(alive, self.started))), "a process is left"
        assert wait_until(lambda: not list(folder.iterdir())), "a file is left"


@contextmanager
def debugging(folder: Path, *words: str, command: tuple[str, ...] = ("make", "gdb")) -> Iterator[Terminal]:
    """`make gdb` in a terminal. When the test is done with it, it must end, and leave no process and no file."""
    temporary = folder / "tmp"
    temporary.mkdir()
    terminal = Terminal(temporary, [*command, *words])
    try:
        terminal.expect("Stage .* in GDB on QEMU, ")
        terminal.started.update(descendants(terminal.pid))
        yield terminal
        if not terminal.closed:
            terminal.expect(pexpect.EOF)
            terminal.close()
        terminal.has_ended(temporary)
    finally:
        terminal.close(force=True)


def leave(terminal: Terminal) -> None:
    terminal.sendline("q")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0


def test_a_session(tmp_path):
    """Seen to fail: without the text, without the copying of COM1, with GDB's Breakpoint -1 shown."""
    with debugging(tmp_path, "STAGE=03", "WALK=syscall-round-trip") as terminal:
        above = terminal.text_above()
        for part in ("ringstep, stage 03", "point 1 of 10: syscall_entry", "kernel/syscall_entry.S:", "ring 0",
                     "Look at:", "p/x $k_gs_base", "Type next:", "go   on to point 2, syscall_entry.step2"):
            assert part in above
        assert "NOT SO" not in above and "Breakpoint" not in above and "Error" not in above
        assert "===" not in terminal.answer("info registers rip"), "nothing has moved, so there is nothing to tell"
        assert "syscall_entry.step2>:" in terminal.answer("x/2i $pc") and "QWORD PTR gs:" in terminal.answer("x/2i $pc")
        stepped = terminal.answer("stepi")
        assert "point 2 of 10: syscall_entry.step2" in stepped and "(boot_pcr)" in stepped
        gone = terminal.answer("go")
        assert gone.lstrip().startswith("=== The syscall round trip, point 3 of 10: syscall_entry.step3")
        assert "point 4 of 10" in terminal.answer(""), "an empty line repeats the last command"
        assert 'Undefined command: "nonsense"' in terminal.answer("nonsense"), "GDB itself answers"
        terminal.answer("hbreak task_exit")
        assert "=== task_exit " in terminal.answer("c"), "a person's own breakpoints stop it, too"
        leave(terminal)


@pytest.mark.parametrize("stage,path", WALKS, ids=[f"{stage}-{path.stem}" for stage, path in WALKS])
def test_every_walk_by_go_alone(stage, path, tmp_path):
    """A person comes to the points in their order, and all that is said of them holds. Seen to fail: without the
    conditions (when), and without the NMI."""
    points = len(load_walk(path).seen_in("qemu").points)
    with debugging(tmp_path, f"STAGE={stage}", f"WALK={path.stem}") as terminal:
        text = terminal.text_above()
        for number in range(1, points + 1):
            assert f"point {number} of {points}: " in text and "NOT SO" not in text
            text = terminal.answer("go") if number < points else ""
        leave(terminal)


def test_from_32_bit_code_to_64_bit_code(tmp_path):
    """GDB keeps its connection over the switch, and shows the code before it as what it is: in 64-bit mode LGDT there
    would be relative to RIP, and the far jump no instruction. Seen to fail: without a disassembler of ours."""
    (tmp_path / "walk.toml").write_text(MODE_SWITCH)
    with debugging(tmp_path, f"WALK={tmp_path / 'walk.toml'}", "STAGE=00") as terminal:
        above = terminal.text_above()
        assert "point 1 of 3: boot_entry" in above and "NOT SO" not in above
        assert "CPU 0, ring 0, 32-bit code" in terminal.answer("here")
        assert "code, 32-bit, DPL 0   <- CS" in terminal.answer("gdt")
        text = terminal.answer("go")
        assert "point 2 of 3: enter_long_mode" in text and "NOT SO" not in text
        code = terminal.answer("x/12i $pc")
        assert re.search(r"lgdtd? +(ds:)?0x1000", code.replace("[", "")) and "jmp    0x8:0x1000" in code
        for _ in range(10):
            text = terminal.answer("stepi")
            assert "=== enter_long_mode+" in text and "'g' packet" not in text
        text = terminal.answer("go")
        assert "point 3 of 3: kernel_start" in text and "NOT SO" not in text
        assert "CPU 0, ring 0, 64-bit mode" in terminal.answer("here")
        assert "kernel_main>" in terminal.answer("x/4i $pc")
        leave(terminal)


def test_our_commands_say_what_gdb_knows(tmp_path):
    """In GDB's terminal; tests/stepping/test_commands.py has the rest. Seen to fail: with the PCR's address one page
    off, and with rsp0 read at the offset of rsp1."""
    with debugging(tmp_path, "STAGE=03", "WALK=syscall-round-trip") as terminal:
        terminal.text_above()
        for _ in range(4):
            terminal.answer("go")
        pcr = terminal.value("&boot_pcr")
        rsp0 = terminal.value("boot_pcr.tss.rsp0")
        assert f"rsp0              {rsp0:#x}   kernel stack of task 1 (hello by syscall)" in terminal.answer("tss")
        assert f"base {terminal.value('&boot_pcr.tss'):#x} (tss in the PCR of CPU 0)" in terminal.answer("gdt")
        assert re.search(rf"GS base +{pcr:#x} +PCR of CPU 0\n", terminal.answer("bases"))
        assert f"PCR of CPU 0 at {pcr:#x}, where GS base points" in terminal.answer("pcr")
        frame = terminal.answer("trapframe")
        rip = terminal.value("((struct trap_frame *)$rsp)->rip")
        assert f"| rip    | {rip:#18x} |  flush of the program stages/01-gdt-tss/user/ulib.c:" in frame
        assert terminal.answer("trapframe $rsp") == frame
        assert "=== user_copy_bytes" in terminal.answer("label")
        assert "There is only CPU 0" in terminal.answer("cpu 1")
        ours = terminal.answer("ringstep")
        for name in ("here", "bases", "pcr [N]", "trapframe [ADDRESS]", "gdt", "tss", "label", "cpu N", "go",
                     "program NAME"):
            assert re.search(rf"^  {re.escape(name)}  ", ours, re.MULTILINE), name
        leave(terminal)


def test_two_cpus(tmp_path):
    """Each for itself. Seen to fail: with the threads numbered from 1, and with all CPUs running where one goes
    alone."""
    with debugging(tmp_path, "STAGE=05", "WALK=two-cpus-in-the-syscall-entry") as terminal:
        assert "ring 0, CPU 0" in terminal.text_above()
        assert "CPU 1 goes alone, the others stand still" in terminal.answer("go")
        terminal.answer("go")
        second = terminal.value("((struct pcr *)$k_gs_base)")
        assert f"PCR of CPU 1 at {second:#x}, where KERNEL_GS_BASE points" in terminal.answer("pcr")
        assert f"PCR of CPU 1 at {second:#x}\n" in terminal.answer("pcr 1")
        assert "There is no PCR of CPU '2'. There are those of 0, 1." in terminal.answer("pcr 2")
        tss = terminal.value(f"&((struct pcr *){second:#x})->tss")
        assert f"base {tss:#x} (tss in the PCR of CPU 1)" in terminal.answer("gdt")
        assert re.search(r"CPU 0, ring 0.*\n.* syscall_entry stages/", terminal.answer("cpu 0")), "it has stood still"
        assert "the PCR of CPU 0" in terminal.answer("gdt")
        leave(terminal)


def test_an_nmi_where_a_breakpoint_is(tmp_path):
    """To go on from a breakpoint GDB executes one instruction by itself, and the NMI strikes before that. Seen to fail:
    with QEMU's usual way of stepping, which takes no interrupt."""
    with debugging(tmp_path, "STAGE=03", "WALK=when-an-nmi-strikes") as terminal:
        terminal.text_above()
        terminal.answer("hbreak *syscall_entry")
        text = terminal.answer("go")
        assert "point 2 of 9: ist_entry" in text and "NOT SO" not in text
        leave(terminal)


def test_symbols_of_the_programs(tmp_path):
    """Of the kernel and of one program; which one is found out in ring 3, or said. Seen to fail: without the change at
    the stop in ring 3."""
    with debugging(tmp_path, "STAGE=03", "WALK=none", "PROGRAMS=hello; gs") as terminal:
        assert "=== kernel_main " in terminal.text_above()
        assert "user/hello.c" in terminal.answer("info line main")
        terminal.answer("program gs")
        assert "user/gs.c" in terminal.answer("info line main")
        assert "kernel/syscall_entry.S" in terminal.answer("info line syscall_entry")
        assert "There is no program 'wrong'. There are " in terminal.answer("program wrong")
        terminal.answer("thbreak main")
        text = terminal.answer("c")
        assert re.search(r"=== 0x4\w+, \w+ of the program stages/01-gdt-tss/user/\w+\.[cS]:\d+, ring 3", text)
        assert "hello.c" in terminal.answer("info line main"), "main of gs is an address within hello"
        assert "CPU 0, ring 3, 64-bit mode" in terminal.answer("here")
        leave(terminal)


def test_ctrl_c_stops_the_machine_and_nothing_else(tmp_path):
    """make would end with an error of its own, had it noticed. Seen to fail: with GDB in make's group of processes."""
    with debugging(tmp_path, "STAGE=05", "WALK=none", "PROGRAMS=count 1000000000") as terminal:
        terminal.text_above()
        terminal.sendline("c")
        terminal.expect_exact("Continuing.")
        terminal.expect_exact("count")
        terminal.sendintr()
        assert "=== " in terminal.text_above()
        terminal.sendline("go")
        assert "There is no walk" in terminal.text_above()
        leave(terminal)


def test_ctrl_c_on_the_way_to_a_point(tmp_path):
    """Then go leads there again."""
    with debugging(tmp_path, "STAGE=05", "WALK=sysret-checked", "PROGRAMS=count 1000000000; edge syscall") as terminal:
        assert "point 1 of 3" in terminal.text_above()
        assert "point 2 of 3" in terminal.answer("go")
        assert "point 3 of 3: task_kill" in terminal.answer("go")
        terminal.sendline("go")
        terminal.expect_exact("(edge syscall): exit 139")
        terminal.sendintr()
        assert "=== " in terminal.text_above()
        assert "CPU 0, ring " in terminal.answer("here")
        leave(terminal)


def test_the_machines_end(tmp_path):
    """It can be looked at before it has gone."""
    with debugging(tmp_path, "STAGE=03", "WALK=none", "PROGRAMS=hello one") as terminal:
        terminal.text_above()
        text = terminal.answer("c")
        assert "task 1 (hello one): exit 0\n" in text and "all programs have ended\n" in text
        assert "=== machine_exit " in text and "The kernel ends its run here." in text
        assert "The machine has ended. q quits." in terminal.answer("c")
        assert "The machine has ended. q quits." in terminal.answer("here")
        leave(terminal)


def test_a_triple_fault_is_named(tmp_path):
    """Seen to fail: without a look into QEMU's log."""
    with debugging(tmp_path, "STAGE=00", "WALK=none") as terminal:
        terminal.text_above()
        text = terminal.answer("set $rsp = 0") + terminal.answer("c")
        assert "The machine reset: a triple fault.\nThe machine has ended." in text
        leave(terminal)


def test_ctrl_c_before_the_prompt(tmp_path):
    with debugging(tmp_path, "STAGE=03") as terminal:
        terminal.sendintr()


def test_an_end_of_input(tmp_path):
    with debugging(tmp_path, "STAGE=03") as terminal:
        terminal.text_above()
        terminal.sendeof()
    assert terminal.exitstatus == 0


@pytest.mark.parametrize("running", [False, True], ids=["at the prompt", "while it runs"])
def test_a_closed_terminal(running, tmp_path):
    """Nothing is left. Seen to fail: with a tools/gdb that only waits for GDB."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    terminal = Terminal(temporary, ["make", "gdb", "STAGE=05", "WALK=none", "PROGRAMS=count 1000000000"])
    terminal.text_above()
    if running:
        terminal.sendline("c")
        terminal.expect_exact("Continuing.")
    os.close(terminal.fileno())
    terminal.has_ended(temporary)


def test_ctrl_z(tmp_path):
    """A shell stops all of it, and lets it go on."""
    with debugging(tmp_path, "--norc", "--noprofile", "-ic", "make gdb STAGE=03; fg", command=("bash",)) as terminal:
        terminal.text_above()
        terminal.send("\x1a")
        terminal.expect("Stopped")
        terminal.sendline("p 41 + 1")
        terminal.expect_exact("= 42")
        leave(terminal)


def test_input_that_is_no_terminal(tmp_path):
    """Commands from a file, for a script."""
    done = subprocess.run([*GDB, "--stage", "03"], input="go\nhere\nq\n", stdout=subprocess.PIPE, text=True, timeout=60,
                          env={**os.environ, "TMPDIR": str(tmp_path)})
    assert done.returncode == 0 and list(tmp_path.iterdir()) == []
    assert "point 2 of 10: syscall_entry.step2" in done.stdout and "GS base" in done.stdout


def refused(*words: str, **environment: str) -> str:
    done = subprocess.run([*GDB, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=60, env={**os.environ, **environment})
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_what_cannot_be_debugged_is_said(tmp_path):
    assert "there is no stage '77'; there are 00, " in refused("--stage", "77")
    assert "stage 03 has no walk 'nowhere'; it has syscall-round-trip" in refused("--stage", "03", "--walk", "nowhere")
    assert "QEMU's PC has 1 to 255 CPUs, not 0" in refused("--cpus", "0")
    assert "sudo apt-get install gdb" in refused("--stage", "03", PATH=str(tmp_path))
    gdb = tmp_path / "gdb"
    gdb.write_text("#!/bin/sh\necho '             --without-python'\n")
    gdb.chmod(0o755)
    assert "built without Python" in refused("--stage", "03", PATH=f"{tmp_path}:{os.environ['PATH']}")
    (tmp_path / "walk.toml").write_text(MODE_SWITCH.replace("boot_entry", "boot_entri"))
    assert "no symbol 'boot_entri'" in refused("--stage", "00", "--walk", str(tmp_path / "walk.toml"))
    (tmp_path / "walk.toml").write_text("title = 5")
    assert "walk.toml" in refused("--stage", "00", "--walk", str(tmp_path / "walk.toml"))
    assert "No such file or directory: '" in refused("--walk", "./nowhere.toml")
