# A bug: a mistake that can be switched on, how to provoke it, and what then happens in each emulator.
# Here stages/NN/bugs/NAME/bug.toml is read and checked, and a run is compared with what the file promises.
# Used by tools/bugs, by those who step (choice.py) and by tests/bugs. docs/formats/bug.schema.json describes the file.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable

import jsonschema

from layers import ROOT, LayerError, bug_folders, find_bug

from .walk import BUG_WALK, Run, Walk, load_walk, tomllib

SCHEMA = ROOT / "docs/formats/bug.schema.json"
INVARIANTS = ROOT / "docs/invariants.md"
EMULATORS = {"qemu": "QEMU", "bochs": "Bochs"}
TIMEOUT = 120.0         # seconds for a run that is to end by itself, on a busy machine too
TIMED_OUT = 124
ENDS = {0: "it ended well", 1: "it panicked, reset or failed", TIMED_OUT: "it ran until the time-out"}


class BugError(LayerError):
    """A bug cannot be read or shown; the message says where and why."""


@dataclass(frozen=True)
class Scenario:
    """How the bug is provoked."""

    stage: str
    cpus: int = 1
    programs: tuple[str, ...] = ()      # none: the stage's own
    words: tuple[str, ...] = ()
    icount: bool = False
    memory: int = 0                     # 0: the usual
    timeout: float = TIMEOUT
    sound_exit: int = 0


@dataclass(frozen=True)
class Symptom:
    """What it comes to in one emulator: a run's end and lines, or a walk, or nothing."""

    happens: str = ""
    exit: int = 0
    seen: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    walk: bool = False
    differs: str = ""
    not_observable: str = ""


@dataclass(frozen=True)
class Bug:
    """One bug.toml."""

    folder: Path
    title: str
    mistake: str
    who: tuple[str, ...]
    breaks: tuple[int, ...]
    look: str
    scenario: Scenario
    symptoms: dict[str, Symptom]

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def stage_folder(self) -> Path:
        return self.folder.parent.parent

    def walk(self) -> Walk | None:
        """The guided walk, if there is one; its machine is the scenario's unless it says otherwise."""
        path = self.folder / BUG_WALK
        return load_walk(path) if path.is_file() else None

    def run(self) -> Run:
        """The scenario as a walk wants it."""
        return Run(self.scenario.programs, self.scenario.words, self.scenario.cpus)


def load_bug(name: str, root: Path = ROOT) -> Bug:
    """The bug of that name."""
    return read_bug(find_bug(name, root))


def load_bugs(root: Path = ROOT) -> list[Bug]:
    """All of them, by stage and name."""
    return sorted((read_bug(folder) for folder in bug_folders(root).values()), key=lambda bug: (bug.stage_folder, bug.name))


def read_bug(folder: Path) -> Bug:
    """Reads a folder's bug.toml and refuses one that is not of the format."""
    path = folder / "bug.toml"
    try:
        data = tomllib.loads(path.read_text())
        jsonschema.validate(data, json.loads(SCHEMA.read_text()))
    except FileNotFoundError:
        raise BugError(f"{path} is missing: it says what the bug is (docs/maintaining/adding-a-bug.md)") from None
    except tomllib.TOMLDecodeError as error:
        raise BugError(f"{path}: {error}") from None
    except jsonschema.ValidationError as error:
        error = most_to_the_point(error)
        place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.absolute_path)
        raise BugError(f"{path}{place and ': ' + place.lstrip('.')}: {error.message}") from None
    run = {"stage": folder.parent.parent.name[:2], **tuples(data.get("run", {}))}
    symptoms = {emulator: Symptom(**tuples(data["symptom"][emulator])) for emulator in EMULATORS}
    bug = Bug(folder, data["title"], data["mistake"], tuple(data["who"]), tuple(data["breaks"]), data["look"],
              Scenario(**run), symptoms)
    check(bug, path)
    return bug


def most_to_the_point(error: jsonschema.ValidationError) -> jsonschema.ValidationError:
    """Of a symptom, which may be of three kinds, what is wrong with it as the kind that it says it is."""
    if error.validator != "oneOf" or not isinstance(error.instance, dict):
        return error
    kind = 2 if "not_observable" in error.instance else 1 if "walk" in error.instance else 0
    return next((one for one in error.context if one.relative_schema_path[0] == kind), error)


def tuples(table: dict) -> dict:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}


def check(bug: Bug, path: Path) -> None:
    """What the schema cannot say."""
    for emulator, symptom in bug.symptoms.items():
        for pattern in symptom.seen + symptom.missing:
            try:
                re.compile(pattern)
            except re.error as error:
                raise BugError(f"{path}: symptom.{emulator}: '{pattern}': {error}") from None
        if symptom.walk and not (bug.folder / BUG_WALK).is_file():
            raise BugError(f"{path}: symptom.{emulator} has walk = true, and there is no {BUG_WALK} beside it")
    for number in bug.breaks:
        if number not in invariants():
            raise BugError(f"{path}: breaks: docs/invariants.md has no invariant {number}")
    if all(symptom.not_observable for symptom in bug.symptoms.values()):
        raise BugError(f"{path}: no emulator shows it, so nobody could see whether it is one")


def invariants() -> dict[int, str]:
    """Their short names by number."""
    found = re.findall(r"^(\d+)\. \*\*(.+?)\.?\*\*", INVARIANTS.read_text(), re.MULTILINE)
    return {int(number): name for number, name in found}


def found(patterns: Iterable[str], text: str) -> list[str]:
    return [pattern for pattern in patterns if re.search(pattern, text, re.MULTILINE)]


def ended(code: int) -> str:
    return f"exit code {code} ({ENDS[code]})" if code in ENDS else f"exit code {code}"


def judge(bug: Bug, emulator: str, code: int, text: str) -> list[str]:
    """Compares a run of the bug with what it promises for the emulator; gives what is otherwise."""
    symptom = bug.symptoms[emulator]
    if symptom.not_observable:
        return judge_sound(bug, emulator, code, text)
    wrong = [] if code == symptom.exit else [f"{ended(code)}, not {ended(symptom.exit)}"]
    there = found(symptom.seen, text)
    wrong += [f"nothing matches '{pattern}'" for pattern in symptom.seen if pattern not in there]
    return wrong + [f"'{pattern}' is there, and should be missing" for pattern in found(symptom.missing, text)]


def judge_sound(bug: Bug, emulator: str, code: int, text: str) -> list[str]:
    """The same for the sound kernel, or for an emulator that shows nothing: no symptom of either emulator's."""
    expected = bug.scenario.sound_exit
    wrong = [] if code == expected else [f"{ended(code)}, not {ended(expected)}"]
    symptom = bug.symptoms[emulator]
    if symptom.not_observable:
        symptom = next(other for other in bug.symptoms.values() if not other.not_observable)
    wrong += [f"'{pattern}' is there, as with the bug" for pattern in found(symptom.seen, text)]
    there = found(symptom.missing, text)
    return wrong + [f"nothing matches '{pattern}', as with the bug" for pattern in symptom.missing if pattern not in there]
