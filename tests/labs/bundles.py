# What the tests of the course's bundle share: reading what is written, and handing in. SPDX-License-Identifier: MIT
from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import jsonschema
from grading import bundle
from grading.lab import load_lab

HERE = Path(__file__).parent
LAB = load_lab("03")


def valid(name: str, data: str | bytes) -> dict:
    """What was written, if it has the form that its reader wants."""
    found = json.loads(data)
    jsonschema.validate(found, json.loads((HERE / f"{name}.schema.json").read_text()))
    return found


def unzip(data: bytes, into: Path) -> None:
    """With the modes, as unzip does and Python does not."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for entry in archive.infolist():
            path = Path(archive.extract(entry, into))
            path.chmod(entry.external_attr >> 16 & 0o777)


def hand_in(folder: Path, into: Path) -> None:
    """The lab's files, as a student uploads them."""
    for name in LAB.files:
        bundle.write(into / Path(name).name, (folder / name).read_bytes())
