# What an editor does with .vscode/ and .clangd, without the editor: the task of launch.json is started, GDB is driven
# by the same commands in the same order as VS Code's cppdbg sends them, and clangd looks at the sources.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

import pexpect
import pytest
from harness import ROOT
from layers import stage_folders

STAGES = list(stage_folders())
# The place behind the first instruction of the system call's entry, as somebody clicks beside a line.
ENTRY = "stages/03-syscall-swapgs/kernel/syscall_entry.S"


def load(name: str) -> dict:
    """A file of the editor: JSON, but for whole lines of comment, which editors allow."""
    lines = (ROOT / name).read_text().splitlines()
    return json.loads("\n".join("" if line.startswith("//") else line for line in lines))


def launch() -> dict:
    (configuration,) = load(".vscode/launch.json")["configurations"]
    return configuration


def task(label: str) -> dict:
    (found,) = [task for task in load(".vscode/tasks.json")["tasks"] if task["label"] == label]
    return found


def resolved(text: str, stage: str = "") -> str:
    """The text as the editor passes it on. Nothing else than these two is used."""
    text = text.replace("${workspaceFolder}", str(ROOT)).replace("${input:stage}", stage)
    assert "${" not in text
    return text


@pytest.fixture
def alone() -> Iterator[None]:
    """There is one name for the kernel and one socket, and the tests run side by side."""
    (ROOT / "build").mkdir(exist_ok=True)
    with open(ROOT / "build/.editor", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def debugged_stage(stage: str) -> Iterator[pexpect.spawn]:
    """The task that comes before the debugger, until the line that the editor waits for. It must end by itself."""
    before = task(launch()["preLaunchTask"])
    assert before["isBackground"]
    words = [resolved(word, stage) for word in before["args"]]
    process = pexpect.spawn(before["command"], words, cwd=str(ROOT), timeout=120, encoding="utf-8",
                            dimensions=(50, 200))
    try:
        process.expect(before["problemMatcher"]["background"]["endsPattern"].replace("^", "(?m)^", 1))
        yield process
        process.expect(pexpect.EOF)
    finally:
        process.close(force=True)
    assert not (ROOT / launch()["miDebuggerServerAddress"]).exists()


class Debugger(pexpect.spawn):
    """GDB, as cppdbg runs it."""

    def __init__(self) -> None:
        super().__init__("gdb", ["--nx", "--interpreter=mi2"], timeout=60, encoding="utf-8", echo=False,
                         dimensions=(50, 4000), env={**os.environ, "TERM": "dumb"})
        self.expect_exact("(gdb)")

    def order(self, text: str, may_fail: bool = False) -> str:
        """One command, as it is (MI) or for the console, and all that came before its result."""
        if not text.startswith("-"):
            text = '-interpreter-exec console "' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
        self.sendline(text)
        self.expect(r"\^(done|running|connected|exit|error)[^\r\n]*\r\n")
        assert may_fail or self.match[1] != "error", self.match[0]
        return self.before + self.match[0]

    def connect(self) -> None:
        """What MIEngine does: setup, directory, program, `main` (which no kernel has), target."""
        configuration = launch()
        for one in configuration["setupCommands"]:
            self.order(resolved(one["text"]), one.get("ignoreFailures", False))
        self.order("set pagination off")
        self.order("-gdb-set auto-solib-add on")
        self.order(f"-environment-cd \"{resolved(configuration['cwd'])}\"")
        self.order(f"-file-exec-and-symbols \"{resolved(configuration['program'])}\"")
        self.order("-break-insert -f main", may_fail=True)
        self.order(f"-target-select remote {configuration['miDebuggerServerAddress']}")

    def stop_of(self, command: str) -> dict[str, str]:
        """Lets the machine run until it stops, and gives what stands in the report."""
        self.order(command)
        self.expect(r"\*stopped,([^\r\n]*)\r\n")
        return dict(re.findall(r'([a-z-]+)="((?:[^"\\]|\\.)*)"', self.match[1]))


@pytest.mark.needs("qemu", "grub", "gdb")
@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_under_gdb(stage, alone):
    """F5: it stops at kernel_main, shows the source's real file, stops where one has clicked, and a stop of the session
    ends the machine. Seen to fail: with another stage's kernel behind the link, with the address of no socket, and
    without the line by which tools/boot says that it waits."""
    with debugged_stage(stage):
        debugger = Debugger()
        try:
            debugger.connect()
            place = debugger.stop_of("-exec-continue")
            assert (place["reason"], place["func"]) == ("breakpoint-hit", "kernel_main")
            source = Path(place["fullname"])
            assert source.relative_to(ROOT).parts[:2] == ("stages", stage_folders()[stage].name)
            line = int(place["line"])
            assert "kernel_main" in "".join(source.read_text().splitlines()[line - 3:line])
            if stage >= "03":
                step_through_swapgs(debugger)
        finally:
            debugger.order("kill", may_fail=True)       # the machine may be gone before it has answered
            debugger.sendline("-gdb-exit")
            debugger.close()


def step_through_swapgs(debugger: Debugger) -> None:
    """A breakpoint by file and line, as the editor sets it, and one instruction."""
    lines = (ROOT / ENTRY).read_text().splitlines()
    line = next(number for number, text in enumerate(lines, 1) if re.search(r"\sswapgs\b", text))
    debugger.order(f"-break-insert -f \"{ROOT / ENTRY}:{line}\"")
    place = debugger.stop_of("-exec-continue")
    assert (place["func"], place["fullname"], place["line"]) == ("syscall_entry", str(ROOT / ENTRY), str(line))
    place = debugger.stop_of("-exec-step-instruction")
    assert place["func"] == "syscall_entry.step2" and int(place["line"]) > line


def test_the_stages_to_choose_from():
    (choice,) = load(".vscode/tasks.json")["inputs"]
    assert choice["options"] == STAGES and choice["default"] in STAGES


def test_tasks_are_targets():
    """Each calls make with a target that `make help` lists."""
    helped = subprocess.run(["make", "help"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    targets = set(re.findall(r"^make (\S+)  ", helped, re.MULTILINE))
    for one in load(".vscode/tasks.json")["tasks"]:
        words = [word for word in one["args"] if "=" not in word]
        assert one["command"] == "make" and set(words) <= targets, one["label"]


def test_the_same_extensions_everywhere():
    container = load(".devcontainer/devcontainer.json")
    assert (container["customizations"]["vscode"]["extensions"]
            == load(".vscode/extensions.json")["recommendations"])


@pytest.mark.needs("clangd")
def test_clangd_sees_no_error():
    """Also where the commands are gcc's. Seen to fail: without .clangd (pcr.h), and with each of its parts left out."""
    last = max(STAGES)
    subprocess.run(["make", "compile_commands.json", f"STAGE={last}"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    sources = [*(ROOT / "build" / last / "src/kernel").glob("*.h"), ROOT / "build" / last / "src/kernel/sched.c",
               ROOT / "build" / last / "src/user/ulib.c"]
    wrong = {}
    for source in sources:
        done = subprocess.run(["clangd", f"--check={source.resolve()}"], cwd=ROOT, capture_output=True, text=True)
        found = re.findall(r"^E\[[^]]*\] (\[\S+\] Line .*)$", done.stderr, re.MULTILINE)
        wrong.update({source.name: found} if found else {})
        assert "Compile command from CDB is" in done.stderr, source
    assert wrong == {}
