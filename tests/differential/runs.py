# Runs a program on this Linux host and in the kernel, and reads the kernel's log. Used by the tests beside it.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import re
import resource
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ROOT / "build/programs"

# The two lines that the kernel prints about the end of a program.
KILLED = re.compile(rb"task (\d+) \((.*)\): killed by (.+) at rip=0x([0-9a-f]+)\n")
EXIT = re.compile(rb"task (\d+) \((.*)\): exit (\d+)\n")
# What the kernel tells about its lesson amid the programs' lines (stages 03 and 04).
LESSON_LINES = (b"first system call: ", b"kernel thread ")


@dataclass(frozen=True)
class Host:
    """What a program did on Linux."""

    output: bytes
    status: int                 # 128 + signal for a program killed by a signal, as a shell says it


@dataclass(frozen=True)
class Task:
    """What a program did in the kernel, as its log tells it."""

    number: int
    command: str                # its arguments joined by blanks
    status: int
    killed_by: str              # "" for a program that ended by itself
    rip: int
    before: bytes               # the log since the end of the previous program, without this one's last lines


@dataclass(frozen=True)
class Boot:
    """One run of tools/boot."""

    code: int
    log: bytes
    errors: str
    tasks: list[Task]


def run_on_host(name: str, *arguments: str) -> Host:
    """Runs a test program as the kernel would: its base name first, no environment, nothing to read."""
    done = subprocess.run(
        [name, *arguments], executable=PROGRAMS / name, env={}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, timeout=60, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)))
    return Host(done.stdout, done.returncode if done.returncode >= 0 else 128 - done.returncode)


def module(name: str, *arguments: str, copies: int = 1) -> str:
    """The words of --module for a test program; a name with a slash is a path of its own."""
    path = name if "/" in name else str(PROGRAMS / name)
    return shlex.join([path, *([f"copies={copies}"] if copies > 1 else []), *arguments])


def read_tasks(log: bytes) -> list[Task]:
    """The ends of programs in the order of the log."""
    tasks, before, killed = [], b"", {}
    for line in log.splitlines(keepends=True):
        if KILLED.fullmatch(line):
            number, _, reason, rip = KILLED.fullmatch(line).groups()
            killed[number] = (reason.decode(), int(rip, 16))
        elif EXIT.fullmatch(line):
            number, command, status = EXIT.fullmatch(line).groups()
            tasks.append(Task(int(number), command.decode(), int(status), *killed.pop(number, ("", 0)), before))
            before = b""
        elif not (killed and line.startswith(b"  ") or line.startswith(LESSON_LINES)):     # "  ": its registers
            before += line
    return tasks


def boot(stage: str, modules: list[str], *options: str, timeout: int = 60) -> Boot:
    """Boots the kernel with these modules. The log is kept in the assertion's message if something is wrong."""
    command = [str(ROOT / "tools/boot"), "--stage", stage, "--quiet", "--timeout", str(timeout), *options]
    for words in modules:
        command += ["--module", words]
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout + 120)
    return Boot(done.returncode, done.stdout, done.stderr.decode(), read_tasks(done.stdout))


def good_boot(stage: str, modules: list[str], *options: str, timeout: int = 60) -> Boot:
    """The same, for a run in which the kernel must come to a good end whatever its programs do."""
    result = boot(stage, modules, *options, timeout=timeout)
    log = result.log.decode(errors="replace")
    assert result.code == 0, f"tools/boot ended with {result.code}\n{result.errors}{log}"
    return result


def output_of(task: Task, expected: bytes) -> bytes:
    """What a program printed: the log before its end, from the first line that Linux printed on.
    The kernel's own lines, of its start for example, come before. Where that line is missing, all of the log is
    given, so that the comparison fails and shows it."""
    if not expected:
        return b""
    first = expected.splitlines(keepends=True)[0]
    lines = task.before.splitlines(keepends=True)
    return b"".join(lines[lines.index(first):] if first in lines else lines)


def ended_line(output: bytes) -> bytes:
    """The kernel starts its own lines on a fresh line, so it ends a program's unfinished one."""
    return output if output.endswith(b"\n") or not output else output + b"\n"
