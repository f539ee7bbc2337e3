# One image on machines of both vendors, in both emulators, with 1, 2 and 4 CPUs: the same programs come to the same
# ends, but for a list of blind spots, each with its reason (same_image.toml).
# SPDX-License-Identifier: MIT
#
# Seen to fail: with a machine left out of an entry that it needs, and in one that it does not need.
from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from harness import ROOT, boot
from machine import iso

try:
    import tomllib
except ModuleNotFoundError:     # before Python 3.11
    import tomli as tomllib

pytestmark = pytest.mark.needs("musl")

LIST = tomllib.loads(Path(__file__).with_name("same_image.toml").read_text())
KILLED = re.compile(r"^task (\d+) \(.*\): killed by (.+) at rip=0x[0-9a-f]+\n(?:  rip .* error ([0-9a-f]+)$)?",
                    re.MULTILINE)
EXIT = re.compile(r"^task (\d+) \((.*)\): exit (\d+)$", re.MULTILINE)
INT = re.compile(r"int ?(\d+)$")
COMPLAINTS = re.compile(r"^soak: .* should be .*$|.* is NOT kept.*$", re.MULTILINE)


@dataclass(frozen=True)
class Machine:
    emulator: str
    model: str
    cpus: int

    def __str__(self) -> str:
        return f"{self.emulator}-{self.model}-{self.cpus}"


MACHINES = [Machine("qemu", "max,la57=off", 1), Machine("qemu", "EPYC", 4), Machine("qemu", "Skylake-Client", 2),
            Machine("qemu", "qemu64", 1), Machine("qemu", "Haswell", 2), Machine("bochs", "corei7_skylake_x", 1),
            Machine("bochs", "corei7_skylake_x", 4), Machine("bochs", "ryzen", 2),
            Machine("bochs", "corei7_sandy_bridge_2600k", 1), Machine("bochs", "athlon64_clawhammer", 1)]


@pytest.fixture(scope="module")
def image(tmp_path_factory) -> Path:
    """The last stage with all the programs of the list, ready to be booted anywhere."""
    for what in (["programs"], ["STAGE=05"]):
        subprocess.run(["make", "--silent", *what], cwd=ROOT, stdin=subprocess.DEVNULL, check=True)
    modules = []
    for command in LIST["outcomes"]:
        words = command.split()
        known = ROOT / "build/programs" / words[0]
        modules.append((known if known.is_file() else ROOT / "build/05/user" / words[0], words))
    return iso.make_run(ROOT / "build/05/kernel.elf", ["poweroff"], modules, tmp_path_factory.mktemp("image"))


def applies(entry: dict, machine: Machine) -> bool:
    model = machine.model.split(",")[0]
    return machine.emulator in entry["machines"] or f"{machine.emulator}:{model}" in entry["machines"]


def as_written(outcome: str, command: str, cpus: int) -> str:
    """With several CPUs the registers' lines of two tasks may mix: then the error code is not compared."""
    number = INT.search(command)
    if number:
        outcome = outcome.replace("n * 16 + 2", f"{int(number[1]) * 16 + 2:x}")
    return outcome if cpus == 1 else re.sub(r"\(.*\)", "", outcome)


def expected(machine: Machine) -> dict[str, str]:
    outcomes = dict(LIST["outcomes"])
    for entry in LIST["feature"] + LIST["blind_spot"]:
        for command in entry["commands"] if applies(entry, machine) else ():
            assert outcomes[command] != entry["outcome"], f"{command}: {entry['reason']}: nothing differs here"
            outcomes[command] = entry["outcome"]
    return {command: as_written(outcome, command, machine.cpus) for command, outcome in outcomes.items()}


def found(log: str, cpus: int) -> dict[str, str]:
    killers = {number: (reason, error) for number, reason, error in KILLED.findall(log)}
    outcomes = {}
    for number, command, status in EXIT.findall(log):
        reason, error = killers.get(number, ("", ""))
        code = f"({error})" if reason and cpus == 1 else ""
        outcomes[command] = f"{reason}{code} {status}".strip()
    return outcomes


@pytest.mark.parametrize("machine", [
    pytest.param(machine, marks=pytest.mark.needs(machine.emulator)) for machine in MACHINES], ids=str)
def test_same_outcomes(machine, image):
    done = boot("--iso", str(image), "--emulator", machine.emulator, "--cpu-model", machine.model,
                "--cpus", str(machine.cpus), "--quiet", "--timeout", "400", timeout=500)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert not COMPLAINTS.search(done.stdout), COMPLAINTS.search(done.stdout)[0]
    wanted, outcomes = expected(machine), found(done.stdout, machine.cpus)
    assert outcomes.keys() == wanted.keys()
    assert {command: (outcome, wanted[command]) for command, outcome in outcomes.items()
            if outcome != wanted[command]} == {}


def test_the_list():
    """Each entry is about programs of the image, has a reason, and is about a machine that is tried."""
    for entry in LIST["feature"] + LIST["blind_spot"]:
        assert entry["reason"] and set(entry["commands"]) <= set(LIST["outcomes"])
        for name in entry["machines"]:
            one = {"machines": [name]}
            assert any(applies(one, machine) for machine in MACHINES), f"{name} is not tried"
