# A whole campaign: which outcomes are still true, the runs for the others, side by side, and the table that comes out.
# What is done is kept in build/ablation/journal at once, so that a campaign can be broken off and goes on where it was.
# Called by tools/ablate. SPDX-License-Identifier: MIT
from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, Union

from tqdm import tqdm

from layers import ROOT
from machine.listing import Listing
from machine.run import MachineError

from . import probes as probe_file
from . import table as tables
from . import trial
from .compare import ONLY
from .probes import Probe, Symptom
from .scope import Instruction, scope

JOURNAL = ROOT / "build/ablation/journal"


class Campaign:
    """The kernels, the probes' images, and what is known."""

    def __init__(self, folder: Path, wanted: list[str]):
        self.probes = {probe.name: probe for probe in probe_file.load() if not wanted or probe.name in wanted}
        unknown = set(wanted) - set(self.probes)
        if unknown:
            raise MachineError(f"there is no probe '{min(unknown)}'; probes.toml has them")
        trial.build_programs(list(self.probes.values()))
        self.folder = folder
        # Copies, so that a build meanwhile disturbs nothing.
        self.kernels = {stage: trial.copy(trial.build(stage), folder / stage) for stage in ONLY}
        self.instructions = [one for stage, elf in self.kernels.items() for one in scope(elf, stage, ONLY[stage])]
        self.images: dict[str, trial.Image] = {}
        self.locks = {name: threading.Lock() for name in self.probes}
        self.running: set[subprocess.Popen] = set()
        self.stopped = threading.Event()
        self.noticed: dict[tuple[str, str], list[str]] = {}
        self.boots = 0
        self.seconds = 0.0
        self.old = {tables.place_of(row): row for row in tables.load()["instructions"]}

    def image(self, name: str) -> trial.Image:
        """The image of a probe, made when it is first wanted. The whole kernel must do well in it."""
        with self.locks[name]:
            if name not in self.images:
                probe = self.probes[name]
                image = trial.Image(probe, self.kernels[probe.kernel], self.folder / name)
                image.measure()
                self.boots += 1
                self.images[name] = image
            return self.images[name]

    def order(self, one: Instruction) -> list[Probe]:
        """The probes that could notice, likeliest first: the one that did the last time, then those that noticed the
        loss of others in the same routine."""
        fitting = [probe for probe in self.probes.values() if probe.fits(one.stage, one.routine)]
        last = self.old.get(one.place, {}).get("probe")
        near = Counter(self.noticed.get((one.stage, one.routine), ()))
        return sorted(fitting, key=lambda probe: (probe.name != last, one.routine not in probe.first,
                                                  -near[probe.name]))

    def attempt(self, one: Instruction, probe: Probe) -> Union[Symptom, None]:
        """One boot."""
        image = self.image(probe.name)
        begin = time.monotonic()
        symptom, _ = image.run(one, stop=self.running)
        self.boots += 1
        self.seconds += time.monotonic() - begin
        return symptom

    def outcome(self, one: Instruction) -> Union[tables.Row, None]:
        """What notices that an instruction is gone. None when the campaign is broken off meanwhile."""
        probes = self.order(one)
        for probe in probes:
            symptom = self.attempt(one, probe)
            if self.stopped.is_set():
                return None
            if symptom:
                self.noticed.setdefault((one.stage, one.routine), []).append(probe.name)
                return tables.row_of(one, probe, symptom)
        return {**tables.row_of(one, None, None), "tried": sorted(probe.hash for probe in probes)}

    def stop(self) -> None:
        self.stopped.set()
        for process in list(self.running):
            process.terminate()


def read_journal() -> dict[tables.Place, tables.Row]:
    lines = JOURNAL.read_text().splitlines() if JOURNAL.is_file() else []
    rows = [json.loads(line) for line in lines if line.endswith("}")]     # a last line may have been cut off
    return {tables.place_of(row): row for row in rows}


def known(campaign: Campaign, again: bool) -> dict[tables.Place, tables.Row]:
    """The outcomes that need no run."""
    found = {**({} if again else campaign.old), **read_journal()}
    return {one.place: tables.moved(found[one.place], one) for one in campaign.instructions
            if tables.stands(found.get(one.place), one, campaign.probes)}


def wanted(campaign: Campaign, routines: list[str]) -> list[Instruction]:
    names = {name if ":" in name else f"05:{name}" for name in routines}
    chosen = [one for one in campaign.instructions if not names or f"{one.stage}:{one.routine}" in names]
    if not chosen:
        raise MachineError(f"there is no routine {', '.join(routines)} with instructions that must earn their place")
    return chosen


def run_all(campaign: Campaign, todo: list[Instruction], jobs: int, dry: bool) -> dict[tables.Place, tables.Row]:
    """Tries instructions side by side, and keeps each outcome as it comes."""
    JOURNAL.parent.mkdir(parents=True, exist_ok=True)
    rows: dict[tables.Place, tables.Row] = {}
    pool = ThreadPoolExecutor(jobs)
    futures: set[Future] = {pool.submit(campaign.outcome, one) for one in todo}
    try:
        with tqdm(total=len(todo), unit="instruction", disable=not todo) as bar, open(JOURNAL, "a") as journal:
            while futures:
                done, futures = wait(futures, return_when=FIRST_COMPLETED)
                for row in filter(None, (future.result() for future in done)):
                    rows[tables.place_of(row)] = row
                    bar.update()
                    if dry:
                        bar.write(line_of(row))
                    else:
                        journal.write(json.dumps(row) + "\n")
                        journal.flush()
    except BaseException:
        campaign.stop()
        pool.shutdown(wait=True, cancel_futures=True)
        raise
    pool.shutdown()
    return rows


def line_of(row: tables.Row) -> str:
    noticed = f"{row['probe']}: {row['symptom']}: {row['says']}" if "probe" in row else "no run of the campaign notices it"
    copies = f" ({len(row['bytes'])} copies)" if len(row["bytes"]) > 1 else ""
    where = f"{row['stage']} {row['label']} ({row['file'].split('/')[-1]}:{row['line']})"
    return f"{where}  {row['text']}{copies}  ->  {noticed}"


def versions() -> dict[str, str]:
    """The emulators' versions, as they say them."""
    texts = {}
    for name, command, pattern in (("qemu", ["qemu-system-x86_64", "--version"], r"version (\S+)"),
                                   ("bochs", ["bochs", "--help"], r"Bochs x86 Emulator (\S+)")):
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True)
        match = re.search(pattern, done.stdout)
        texts[name] = match[1] if match else "?"
    return texts


def kernel_hash(elf: Path) -> str:
    """Of what is loaded: the paths in the debug information do not count."""
    digest = hashlib.sha256()
    for start, end, flags, data in Listing(elf).segments:
        digest.update(f"{start:x} {end:x} {flags}".encode() + data)
    return digest.hexdigest()


def make_table(campaign: Campaign, rows: dict[tables.Place, tables.Row]) -> dict[str, Any]:
    instructions = [rows[one.place] for one in campaign.instructions]
    return {
        "format": 1,
        "about": "What notices that an instruction is gone. Made by tools/ablate; see docs/maintaining/ablation.md.",
        "compiler": Listing(campaign.kernels["05"]).compiler, **versions(),
        "kernels": {stage: kernel_hash(trial.plain(stage)) for stage in ONLY},
        "probes": [{"name": probe.name, "what": probe.what, "emulator": probe.emulator, "cpus": probe.cpus,
                    "hash": probe.hash} for probe in campaign.probes.values()],
        "instructions": instructions,
    }


def report(rows: list[tables.Row]) -> int:
    """Says what nothing notices. 1 if one of those has no reason to stay."""
    survivors = tables.load_survivors()
    unnoticed = [row for row in rows if "probe" not in row]
    unexcused = [row for row in unnoticed if not tables.reasons(row, survivors)]
    for row in unexcused:
        print(line_of(row))
    print(f"{len(rows)} instructions; {len(rows) - len(unnoticed)} noticed; {len(unnoticed)} not, of which "
          f"{len(unexcused)} are not in survivors.toml")
    return 1 if unexcused else 0


def run(arguments: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory(prefix="ringstep-ablate-") as folder:
        campaign = Campaign(Path(folder), arguments.probe)
        chosen = wanted(campaign, arguments.routine)
        rows = {} if arguments.dry else known(campaign, arguments.all)
        todo = [one for one in chosen if one.place not in rows]
        todo.sort(key=lambda one: len(campaign.order(one)))      # what few probes are for is soon done
        rows.update(run_all(campaign, todo, arguments.jobs, arguments.dry))
        print(f"{campaign.boots} boots, {campaign.seconds:.0f} seconds of them, for {len(todo)} instructions",
              file=sys.stderr)
        missing = [one for one in campaign.instructions if one.place not in rows]
        if arguments.dry or missing:
            return report([rows[one.place] for one in chosen if one.place in rows])
        table = make_table(campaign, rows)
        tables.write(table)
        JOURNAL.unlink(missing_ok=True)
        return report(table["instructions"])


def list_survivors() -> int:
    survivors = tables.load_survivors()
    for row in tables.load()["instructions"]:
        if "probe" not in row:
            print(line_of(row))
            for reason in tables.reasons(row, survivors):
                print(f"    {reason['reason'].strip()}\n    guard: {reason['guard']}")
    return 0


def labels_of(routine: str) -> list[str]:
    """The instructions of a routine, as --show wants them."""
    return [f"{row['label']} ({row['text']})" for row in tables.load()["instructions"] if row["routine"] == routine]


def show(label: str, names: list[str]) -> int:
    """Runs one, and shows the console."""
    with tempfile.TemporaryDirectory(prefix="ringstep-ablate-") as folder:
        campaign = Campaign(Path(folder), names)
        stage, name = (label[:2], label[3:]) if re.match(r"\d\d:", label) else ("05", label)
        one = next((one for one in campaign.instructions if one.label == name and one.stage == stage), None)
        if one is None:
            raise MachineError(f"no instruction of the table is {label}; it is written as syscall_entry+0x45")
        row = campaign.old.get(one.place)
        print(line_of(row) if row else f"{one.label}: {one.text}: not in the table yet")
        for probe in campaign.order(one):
            symptom, log = campaign.image(probe.name).run(one)
            told = f"{symptom.kind}: {symptom.says}" if symptom else "nothing"
            print(f"--- {probe.name}\n{log}--- {probe.name}: {told}")
            if symptom and not names:
                break
        return 0
