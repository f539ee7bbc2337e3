# What a student has handed in: the files that the lab names, found in a folder or an archive and copied as plain files.
# Everything else is ignored with a note. Called by campaign.py; what comes out is laid over the pristine tree.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path

from .archives import UNREADABLE, Entry, Refused, entries_of, show
from .lab import Lab

MOST_BYTES = 64 << 10       # of one file; the longest of the project has a sixth of that
SHOWN = 3                   # names of ignored files in the note
ENDING = re.compile(r"\.(zip|tar|tgz|txz|tar\.gz|tar\.xz)$", re.IGNORECASE)

__all__ = ["Refused", "Submission", "digest", "name_of", "read_submission"]


@dataclass
class Submission:
    """Its name, its files as 'kernel/pcr.h', and what is to be noted of it."""

    name: str
    files: dict[str, Path]
    notes: list[str] = field(default_factory=list)


def name_of(path: Path) -> str:
    """That of the folder or archive, without the ending."""
    return show(ENDING.sub("", path.resolve().name)) or "submission"


def read_submission(path: Path, lab: Lab, folder: Path) -> Submission:
    """Copies the files that count to plain files in a folder, which must be new. Raises Refused."""
    contents, ignored = collect(path, lab)
    missing = [name for name in lab.required if name not in contents]
    if missing:
        raise Refused(f"{' and '.join(missing[:SHOWN])}{' and more' if len(missing) > SHOWN else ''} "
                      f"{'is' if len(missing) == 1 else 'are'} not there; a submission to lab {lab.number} holds "
                      f"{', '.join(lab.required)}")
    files = {}
    for name, data in sorted(contents.items()):
        files[name] = folder / name
        files[name].parent.mkdir(parents=True, exist_ok=True)
        files[name].write_bytes(data)
    return Submission(name_of(path), files, [note(ignored)] if ignored else [])


def note(ignored: list[str]) -> str:
    more = f" and {len(ignored) - SHOWN} more" if len(ignored) > SHOWN else ""
    return (f"{len(ignored)} file{'s' if len(ignored) > 1 else ''} ignored, which this lab does not name: "
            f"{', '.join(show(name) for name in ignored[:SHOWN])}{more}")


def collect(path: Path, lab: Lab) -> tuple[dict[str, bytes], list[str]]:
    """The contents of the files that count, and the names of all others."""
    found: dict[str, list[tuple[str, bytes]]] = {}
    plain: dict[str, list[tuple[str, bytes]]] = {}
    ignored: list[str] = []
    try:
        for entry in entries_of(path):
            sort_out(entry, lab, found, plain, ignored)
    except UNREADABLE as error:
        raise Refused(f"it cannot be read: {show(str(error)) or type(error).__name__}") from None
    # A whole tree has files of those names in other folders too, such as test/.
    if found:
        ignored += [origin for origins in plain.values() for origin, _ in origins]
    counted = {name: once(name, origins) for name, origins in (found or plain).items()}
    chosen = [one for one in lab.challenges if f"challenges/{one.id}" in counted]
    counting = {*lab.files, *(name for one in chosen for name in (f"challenges/{one.id}", *one.files))}
    ignored += [origin for name, (origin, _) in counted.items() if name not in counting]
    return {name: data for name, (_, data) in counted.items() if name in counting}, ignored


def once(name: str, origins: list[tuple[str, bytes]]) -> tuple[str, bytes]:
    if len(origins) > 1:
        raise Refused(f"{name} is there twice: as {show(origins[0][0])} and as {show(origins[1][0])}")
    return origins[0]


def sort_out(entry: Entry, lab: Lab, found: dict[str, list], plain: dict[str, list], ignored: list[str]) -> None:
    parts = parts_of(entry)
    if entry.kind == "folder" or not parts:
        return
    name, short = place(parts, lab), plain_place(parts, lab)
    if entry.kind != "file":
        refuse_link(entry, parts, lab)
    if name or (short and entry.kind == "file"):
        (found if name else plain).setdefault(name or short, []).append((entry.name, contents_of(entry)))
    else:
        ignored.append(entry.name)


def parts_of(entry: Entry) -> list[str]:
    """A name in its parts. What leads out of the submission is a trick, whether or not the file would count."""
    parts = [part for part in entry.name.split("/") if part not in ("", ".")]
    if entry.name.startswith("/") or re.match(r"[A-Za-z]:", entry.name) or ".." in parts:
        raise Refused(f"the name {show(entry.name)} leads out of the submission")
    return parts


def names_of(lab: Lab) -> list[str]:
    """All that any submission to a lab may hold."""
    return [*lab.files, *(name for one in lab.challenges for name in (*one.files, f"challenges/{one.id}"))]


def place(parts: list[str], lab: Lab) -> str:
    """Which of the lab's files this is, if any: as 'kernel/x.S', or as that in one folder or in stages/NN-name of a
    whole tree."""
    for name in names_of(lab):
        words = name.split("/")
        if parts[-len(words):] == words and is_root(parts[:-len(words)], lab):
            return name
    return ""


def plain_place(parts: list[str], lab: Lab) -> str:
    """The same as 'x.S' alone, or that in one folder, when only one of the lab's files is called that."""
    names = [name for name in names_of(lab) if name.split("/")[-1] == parts[-1] and not name.startswith("challenges/")]
    return names[0] if len(names) == 1 and len(parts) <= 2 and parts[0] not in ("kernel", "user") else ""


def is_root(folders: list[str], lab: Lab) -> bool:
    """May the folders `kernel` and `user` lie there?"""
    return len(folders) <= 1 or (folders[-2:] == ["stages", lab.stage.name] and len(folders) <= 3)


def refuse_link(entry: Entry, parts: list[str], lab: Lab) -> None:
    """What is no plain file is refused where a file of the lab is wanted, or the folder of one."""
    for name in names_of(lab):
        top, _, last = name.partition("/")
        its_folder = parts[-1] == top and place([*parts, last], lab) == name
        if name in (place(parts, lab), plain_place(parts, lab)) or its_folder:
            raise Refused(f"{show(entry.name)} is {entry.kind}; hand in a plain file")


def contents_of(entry: Entry) -> bytes:
    data = entry.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise Refused(f"{show(entry.name)} is larger than {MOST_BYTES >> 10} KiB")
    if b"\0" in data:
        raise Refused(f"{show(entry.name)} holds a NUL byte, so it is no source file")
    return data


def digest(submission: Submission) -> str:
    """Of what counts; the same for a folder and for an archive of it."""
    result = hashlib.sha256()
    for name, path in sorted(submission.files.items()):
        data = path.read_bytes()
        result.update(f"{name}\0{len(data)}\0".encode() + data)
    return result.hexdigest()
