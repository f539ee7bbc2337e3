# A lab as its lab.toml describes it: which files a submission may hold, and the checks with their points and texts.
# docs/formats/lab.schema.json describes the file.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema
from layers import ROOT, stage_folders, stage_number, tomllib

SCHEMA = ROOT / "docs/formats/lab.schema.json"


class LabError(Exception):
    """There is no such lab, or its lab.toml is wrong; the message says which, for a person."""


@dataclass(frozen=True)
class Check:
    """One thing that is looked at, and what it is worth."""

    id: str
    points: int
    title: str
    why: str                            # why it matters, for one who failed it
    page: str                           # of the lesson: 'stages/03-syscall-swapgs/README.md#anchor'
    hint: str = ""                      # where to look next; no solution
    emulators: tuple[str, ...] = ("qemu",)      # in which it can fail
    needs: tuple[str, ...] = ()         # the checks without which it says nothing
    challenge: str = ""                 # the id of the challenge that it belongs to


@dataclass(frozen=True)
class Challenge:
    """Something more, for those who want it: done when the submission brings its marker file."""

    id: str
    title: str
    text: str                           # the file in stages/NN/lab/challenges/ that describes it
    files: tuple[str, ...] = ()         # what a submission may hold besides the lab's own files
    flags: tuple[str, ...] = ()         # for the compiler (LAB_CFLAGS)


@dataclass(frozen=True)
class Lab:
    """One lab."""

    number: str                         # '03'; the stage's number as well
    folder: Path                        # stages/NN-name/lab
    title: str
    files: tuple[str, ...]              # what a submission may hold, as 'kernel/pcr.h'
    required: tuple[str, ...]           # and must
    symbols: dict[str, str]             # names that must stay, and who calls them
    checks: tuple[Check, ...]
    challenges: tuple[Challenge, ...] = ()
    budget: int = 0                     # guest instructions for one run
    cpus: int = 1

    @property
    def stage(self) -> Path:
        return self.folder.parent

    def check(self, name: str) -> Check:
        return next(check for check in self.checks if check.id == name)

    def emulators(self) -> set[str]:
        return {emulator for check in self.checks for emulator in check.emulators}


def find_labs(root: Path = ROOT) -> dict[str, Path]:
    """The folders of the labs by number."""
    return {number: folder / "lab" for number, folder in stage_folders(root).items()
            if (folder / "lab/lab.toml").is_file()}


def load_lab(word: str, root: Path = ROOT) -> Lab:
    """Takes '3', '03' or '03-syscall-swapgs'."""
    known = find_labs(root)
    try:
        number = stage_number(word, root)
        folder = known[number]
    except Exception:
        raise LabError(f"there is no lab '{word}'; there are {', '.join(known) or 'none'}") from None
    path = folder / "lab.toml"
    try:
        data = tomllib.loads(path.read_text())
        jsonschema.validate(data, json.loads((root / "docs/formats/lab.schema.json").read_text()))
    except (tomllib.TOMLDecodeError, jsonschema.ValidationError) as error:
        message = error.message if isinstance(error, jsonschema.ValidationError) else error
        raise LabError(f"{path}: {message}") from None
    return make_lab(number, folder, data)


def make_lab(number: str, folder: Path, data: dict[str, Any]) -> Lab:
    checks = [make_check(entry) for entry in data["check"]]
    challenges = []
    for entry in data.get("challenge", []):
        entry = dict(entry)
        checks += [make_check(check, entry["id"]) for check in entry.pop("check")]
        challenges.append(Challenge(**{**entry, "files": tuple(entry.get("files", ())),
                                       "flags": tuple(entry.get("flags", ()))}))
    names = [check.id for check in checks]
    for check in checks:
        unknown = [need for need in check.needs if need not in names]
        if unknown or names.count(check.id) > 1:
            raise LabError(f"{folder}/lab.toml: check '{check.id}' " + (
                f"needs '{unknown[0]}', which is no check" if unknown else "is there twice"))
    return Lab(number, folder, data["title"], tuple(data["files"]), tuple(data.get("required", data["files"])),
               data.get("symbols", {}), tuple(checks), tuple(challenges), data["budget"] * 1000000,
               data.get("cpus", 1))


def make_check(entry: dict[str, Any], challenge: str = "") -> Check:
    words = {name: " ".join(value.split()) if isinstance(value, str) else value for name, value in entry.items()}
    return Check(**{**words, "emulators": tuple(entry.get("emulators", ("qemu",))),
                    "needs": tuple(entry.get("needs", ()))}, challenge=challenge)
