# A probe: a run of the kernel that could notice that an instruction is gone, and what must be seen in it when all are
# there. probes.toml has them all. Used by tools/ablate and its tests. SPDX-License-Identifier: MIT
from __future__ import annotations

import fnmatch
import hashlib
import json
import re
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Union

try:
    import tomllib
except ImportError:         # before Python 3.11
    import tomli as tomllib

from layers import ROOT
from machine.run import MachineError

FILE = Path(__file__).parent / "probes.toml"
LAYER = ROOT / "tests/ablation/layer"
TIMED_OUT = 124
# How the kernel tells the end of a program.
KILLED = re.compile(r"^task (\d+) \((.*)\): killed by (.+) at rip=0x[0-9a-f]+$", re.MULTILINE)
EXIT = re.compile(r"^task (\d+) \((.*)\): exit (\d+)$", re.MULTILINE)


@dataclass(frozen=True)
class Probe:
    """One run. probes.toml says what each field means."""

    name: str
    what: str
    patterns: tuple[str, ...]
    first: tuple[str, ...] = ()
    kernel: str = "05"
    emulator: str = "qemu"
    cpus: int = 1
    memory: int = 128
    model: str = ""
    icount: bool = True
    entry: str = ""
    append: str = ""
    modules: tuple[str, ...] = ()
    ends: dict[str, Union[int, str]] = field(default_factory=dict)
    says: tuple[str, ...] = ()
    same: str = ""
    screen: str = ""
    stop: tuple[str, ...] = ()
    behind: str = ""
    counts: tuple[str, ...] = ()
    code: int = 0

    def fits(self, stage: str, routine: str) -> bool:
        """Whether it is tried for the instructions of a routine. Stage 04's are named 04:routine."""
        name = routine if stage == "05" else f"{stage}:{routine}"
        return stage == self.kernel and any(fnmatch.fnmatchcase(name, pattern) or pattern == "*"
                                            for pattern in self.patterns)

    @property
    def hash(self) -> str:
        """Changes with what is run, and not with the routines that it is tried for. What a stage or the self-tests have
        in it does not count: they change with the kernel, and often."""
        told = {key: value for key, value in asdict(self).items() if value and key not in ("what", "patterns", "first")}
        text = json.dumps(told, sort_keys=True) + "".join(path.read_text() for path in self.sources())
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def debugged(self) -> bool:
        return bool(self.stop or self.counts)

    def sources(self) -> list[Path]:
        """The files of the layer that it runs: programs, and what a word or the entry point leads to."""
        programs = {words.split()[0] for words in self.modules}
        words = {*self.append.split(), self.entry} - {""}
        proofs = {path: path.read_text() for path in LAYER.glob("proof/*.[cS]")}
        return sorted([path for path in LAYER.glob("user/*.c") if path.stem in programs] +
                      [path for path, text in proofs.items()
                       if any(f'PROOF("{word}"' in text or f"FUNCTION({word})" in text for word in words)])

    def options(self) -> list[str]:
        """The machine, as tools/boot takes it."""
        words = ["--emulator", self.emulator, "--cpus", str(self.cpus), "--memory", str(self.memory)]
        if self.model:
            words += ["--cpu-model", self.model]
        if self.icount and self.emulator == "qemu" and self.cpus == 1:      # with more it does not repeat itself
            words.append("--icount")
        return words


@dataclass(frozen=True)
class Symptom:
    """What was wrong in a run: the kind, and the first words that tell it."""

    kind: str
    says: str


def load(path: Path = FILE) -> list[Probe]:
    probes = []
    for given in tomllib.loads(path.read_text())["probe"]:
        words = {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}
        words["patterns"] = words.pop("for")
        try:
            probes.append(Probe(**words))
        except TypeError as error:
            raise MachineError(f"{path}: probe {given.get('name')}: {error}") from None
    return probes


def ends_of(log: str) -> list[tuple[str, Union[int, str]]]:
    """How each program ended: its status, or what killed it."""
    killed = {number: reason for number, _, reason in KILLED.findall(log)}
    return [(command, killed.get(number, int(status))) for number, command, status in EXIT.findall(log)]


def symptom(probe: Probe, code: int, log: str, errors: str, whole: str = "") -> Union[Symptom, None]:
    """What is wrong in a run, the most telling thing first; None if nothing is. whole: the log of the whole kernel."""
    panic = re.search(r"^panic: .*(\n  rip .*)?", log, re.MULTILINE)
    if panic and probe.code == 0:
        return Symptom("panic", panic[0].replace("\n ", ";"))
    if "triple fault" in errors:
        return Symptom("reset", errors.split("tools/boot: ")[-1].strip())
    if code == TIMED_OUT:
        return Symptom("time-out", f"behind: {last_line(log)}")
    failed = re.search(r"^not ok \d+ - (.*)", log, re.MULTILINE)
    if failed:
        return Symptom("self-test", failed[1])
    return (wrong_end(probe, log) or missing_line(probe, log) or wrong_code(probe, code, errors)
            or other_line(probe, log, whole))


def last_line(log: str) -> str:
    return ([line for line in log.splitlines() if line.strip()] or ["nothing at all"])[-1][:100]


def wrong_end(probe: Probe, log: str) -> Union[Symptom, None]:
    found = ends_of(log)
    for command, end in found:
        if command not in probe.ends or probe.ends[command] != end:
            return Symptom("program", f"{command}: {end} in place of {probe.ends.get(command, 'no such program')}")
    missing = [command for command in probe.ends if command not in dict(found)]
    return Symptom("program", f"{missing[0]}: does not end; the last line: {last_line(log)}") if missing else None


def missing_line(probe: Probe, log: str) -> Union[Symptom, None]:
    for pattern in probe.says:
        if not re.search(pattern, log, re.MULTILINE):
            return Symptom("output", f"not there: {pattern}; the last line: {last_line(log)}")
    return None


def other_line(probe: Probe, log: str, whole: str) -> Union[Symptom, None]:
    """The first line of a kind that the whole kernel's log does not have, or has and this one has not. Their order does
    not count: it may depend on when a tick comes."""
    if not probe.same or not whole:
        return None
    found, right = (Counter(line.strip() for line in text.splitlines() if re.match(probe.same, line))
                    for text in (log, whole))
    more, less = next(iter(found - right), "no line"), next(iter(right - found), "no line")
    return None if found == right else Symptom("output", f"{more} in place of {less}")


def wrong_code(probe: Probe, code: int, errors: str) -> Union[Symptom, None]:
    if code == probe.code:
        return None
    return Symptom("end", f"tools/boot ends with {code}, not {probe.code}: {errors.strip()[:200]}")
