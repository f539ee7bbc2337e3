# tools/boot explains how a run ended badly: for each classic crash, the exception with its error code in words, the
# instruction, function and source line, and the likely cause.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest
from claims.changes import variant
from crashes.cases import CRASHES, Crash
from crashes.without import MARK
from harness import BOOT

WITHOUT = [sys.executable, str(Path(__file__).resolve().parent / "without.py")]
HANG = 124              # tools/boot's exit code
# Seconds until a run counts as hung: a busy machine must have come there by then.
PATIENCE = {"qemu": 12, "bochs": 20}
RUNS = [pytest.param(crash, emulator, id=f"{crash.name}-{emulator}",
                     marks=[pytest.mark.heavy] if crash.code == HANG or emulator == "bochs" else [])
        for crash in CRASHES for emulator in crash.emulators]


def command_of(crash: Crash, emulator: str) -> list[str]:
    layer = ["--layer", variant(f"crash-{crash.name}", crash.stage, crash.file, *crash.replacements)] \
        if crash.replacements else []
    modules = [word for module in crash.modules for word in ("--module", module)]
    timeout = str(PATIENCE[emulator] if crash.code == HANG else 120)
    return ["--stage", crash.stage, *layer, *modules, "--timeout", timeout, *crash.options, "--emulator", emulator]


def run(command: list[str]) -> subprocess.CompletedProcess:
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
                          timeout=300)


@pytest.mark.parametrize("crash, emulator", RUNS)
def test_is_explained_by_its_rule(crash: Crash, emulator: str) -> None:
    """And without that rule the cause of the same end is not found: what says it is that rule, and no other.
    Seen to fail: with a rule that gives nothing, and with the rule of another crash taken out."""
    done = run([*WITHOUT, crash.rule, *command_of(crash, emulator)])
    assert done.returncode == crash.code, done.stdout[-3000:] + done.stderr
    told, mark, without = done.stderr.partition(MARK)
    assert mark, f"nothing is explained\n{done.stderr}"
    for expected in crash.says:
        assert re.search(expected, told), f"{expected}\n{done.stdout[-3000:]}\n{done.stderr}"
    assert not re.search(crash.says[-1], without), f"{crash.rule} is not what explains this\n{done.stderr}"


@pytest.mark.needs("qemu", "grub")
def test_a_person_at_the_terminal_is_told_too() -> None:
    """With the keyboard given to the machine QEMU would stand still behind a triple fault, and nobody would know why.
    Seen to fail: with the events of the machine itself not heard (`guest` in tools/machine/qmp.py turned round)."""
    crash = next(crash for crash in CRASHES if crash.name == "tss-descriptor-of-8-bytes")
    terminal = pexpect.spawn(BOOT[0], [*BOOT[1:], *command_of(crash, "qemu"), "--interactive"], timeout=60,
                             encoding="utf-8", codec_errors="replace", dimensions=(50, 500))
    said = terminal.read()
    terminal.close()
    assert terminal.exitstatus == crash.code, said
    for expected in crash.says:
        assert re.search(expected, said), f"{expected}\n{said}"
