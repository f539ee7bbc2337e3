# docs/ablation.json: what happened when each instruction was taken away. Read and written here.
# docs/formats/ablation.schema.json describes the file. Used by tools/ablate and its tests. SPDX-License-Identifier: MIT
from __future__ import annotations

import fnmatch
import json
import re
from pathlib import Path
from typing import Any, Iterable, Union

import jsonschema

try:
    import tomllib
except ImportError:         # before Python 3.11
    import tomli as tomllib

from layers import ROOT

from .probes import Probe, Symptom
from .scope import Instruction

TABLE = ROOT / "docs/ablation.json"
SCHEMA = ROOT / "docs/formats/ablation.schema.json"
SURVIVORS = Path(__file__).parent / "survivors.toml"
LABEL = re.compile(r"(?:\d\d:)?[A-Za-z_]\w*(?:\+0x[0-9a-f]+|:.+)")      # an instruction of assembly, of C
Row = dict[str, Any]
Place = tuple[str, str, str, int]


def place_of(row: Row) -> Place:
    return row["stage"], row["routine"], row["text"], row["number"]


def load(path: Path = TABLE) -> dict[str, Any]:
    """The table; an empty one where there is none yet."""
    return json.loads(path.read_text()) if path.is_file() else {"instructions": []}


def check(table: dict[str, Any]) -> None:
    jsonschema.validate(table, json.loads(SCHEMA.read_text()))


def row_of(one: Instruction, probe: Union[Probe, None], symptom: Union[Symptom, None]) -> Row:
    """One instruction and its outcome. No address is in it: they change with every change elsewhere."""
    row: Row = {"stage": one.stage, "routine": one.routine, "label": one.label, "text": one.text, "number": one.number,
                "file": one.file, "line": one.line, "bytes": [code.hex() for _, code in one.places],
                "routine_hash": one.routine_hash}
    if probe and symptom:
        row.update(probe=probe.name, probe_hash=probe.hash, symptom=symptom.kind, says=symptom.says)
    return row


def moved(row: Row, one: Instruction) -> Row:
    """A known outcome for the same instruction of the same routine, wherever its source stands now."""
    return {**row, **row_of(one, None, None)}


def stands(row: Union[Row, None], one: Instruction, probes: dict[str, Probe]) -> bool:
    """Whether an outcome is still true: the routine is the same, and what noticed the loss is. That nothing noticed it
    is tried again as soon as there is a new probe."""
    if row is None or row["routine_hash"] != one.routine_hash:
        return False
    if "probe" in row:
        return row["probe"] in probes and probes[row["probe"]].hash == row["probe_hash"]
    fitting = sorted(probe.hash for probe in probes.values() if probe.fits(one.stage, one.routine))
    return row.get("tried") == fitting


def write(table: dict[str, Any], path: Path = TABLE) -> None:
    """One row a line, so that a change of the kernel changes few lines."""
    rows = table["instructions"]
    head = json.dumps({key: value for key, value in table.items() if key != "instructions"}, indent=1)
    lines = ",\n".join("  " + json.dumps(row) for row in rows)
    path.write_text(f'{head[:-2]},\n "instructions": [\n{lines}\n ]\n}}\n')


# The survivors

def load_survivors(path: Path = SURVIVORS) -> list[dict[str, Any]]:
    """The reasons for which an instruction may stay though nothing notices that it is gone."""
    return tomllib.loads(path.read_text()).get("survivor", []) if path.is_file() else []


def covers(reason: dict[str, Any], row: Row) -> bool:
    name = row["routine"] if row["stage"] == "05" else f"{row['stage']}:{row['routine']}"
    return is_one_of(row["text"], reason["text"]) and any(fnmatch.fnmatchcase(name, where) for where in reason["where"]) and (
        "number" not in reason or row["number"] in reason["number"])


def is_one_of(text: str, wanted: Iterable[str]) -> bool:
    """A jump is written as far as its target, `jmp .+`, which moves with all that stands before it."""
    return any(text == one or one.endswith(".+") and text.startswith(one) for one in wanted)


def reasons(row: Row, survivors: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [reason for reason in survivors if covers(reason, row)]
