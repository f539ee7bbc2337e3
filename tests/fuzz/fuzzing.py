# Builds the fuzz targets beside this file with clang, libFuzzer and sanitizers, runs them, and reads what they report.
# Used by test_fuzz.py and by tools/fuzz (make fuzz).
# SPDX-License-Identifier: MIT
from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Union

from layers import ROOT, Variant, merge, stage_folders
from unit.mutants import Mutant

HERE = Path(__file__).resolve().parent
CORPUS = HERE / "corpus"
OUTPUT = ROOT / "build/fuzz"
TARGETS = sorted(path.stem for path in HERE.glob("*.c"))
CFLAGS = """-std=gnu11 -masm=intel -fms-extensions -g -O1 -fno-sanitize-recover=all -Wall -Wextra -Werror
            -Wno-unused-parameter -Wno-microsoft-anon-tag""".split()
FUZZING = ["-fsanitize=fuzzer,address,undefined"]
COVERING = ["-fsanitize=fuzzer", "-fprofile-instr-generate", "-fcoverage-mapping"]
LONGEST_INPUT = 10240   # boot information under UEFI takes 8 KiB
SLOWEST = 3             # seconds for one input: more is a loop without an end
# The kernel frees nothing at its end, and a leak checker would want to trace the process.
ENVIRONMENT = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}


@dataclass(frozen=True)
class Result:
    """One run: whether nothing was found, how many inputs were tried, and what libFuzzer counts as reached."""

    sound: bool
    executions: int
    edges: int
    corpus: int
    log: str


def lay_sources(folder: Path, mutant: Union[Mutant, None]) -> None:
    """Links to the whole kernel of the last stage, with the mutant in place of the file that it changes."""
    for name, entry in merge(Variant(max(stage_folders()))).items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        if mutant and name == mutant.file:
            target.write_text(mutant.apply(entry.source.read_text()))
        else:
            target.symlink_to(entry.source)


def build(target: str, folder: Path, how: list[str] = FUZZING, mutant: Union[Mutant, None] = None) -> Path:
    """The program of a target, in a folder of its own."""
    lay_sources(folder / "src", mutant)
    program = folder / target
    includes = [f"-I{ROOT / 'tests/unit/stubs'}", f"-I{folder / 'src'}", f"-I{ROOT / 'tests'}"]
    quiet = ["-w"] if mutant else []
    command = ["clang", *CFLAGS, *how, *quiet, *includes, "-o", str(program), str(HERE / f"{target}.c")]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr}")
    return program


def command_of(program: Path, seconds: float, found: Path, seed: int = 0) -> list[str]:
    """What it finds on the way goes to `found`, what makes it fail beside it. The corpus in the tree stays as it is."""
    target = program.name
    found.mkdir(parents=True, exist_ok=True)
    corpus = [str(CORPUS / target)] if (CORPUS / target).is_dir() else []
    return [str(program), f"-max_total_time={max(1, round(seconds))}", f"-max_len={LONGEST_INPUT}",
            f"-timeout={SLOWEST}", f"-seed={seed}", "-use_value_profile=1", "-print_final_stats=1",
            f"-artifact_prefix={found.parent}/", str(found), *corpus]


def run(program: Path, seconds: float, found: Path, seed: int = 0) -> Result:
    """With a seed of our own the run repeats; with 0 it is another one each time."""
    done = subprocess.run(command_of(program, seconds, found, seed), env=ENVIRONMENT, capture_output=True, text=True,
                          errors="replace")
    return read_result(done.returncode == 0, done.stderr)


def read_result(sound: bool, log: str) -> Result:
    executions = re.findall(r"^stat::number_of_executed_units: (\d+)", log, re.MULTILINE)
    reached = re.findall(r"\bcov: (\d+)", log)
    kept = re.findall(r"\bcorp: (\d+)/", log)
    return Result(sound, int(executions[-1]) if executions else 0, int(reached[-1]) if reached else 0,
                  int(kept[-1]) if kept else 0, log)


def coverage(target: str, folder: Path, inputs: list[Path]) -> dict[str, float]:
    """The lines of the kernel's files that these inputs reach, in percent: of those that the target includes."""
    program = build(target, folder, COVERING)
    profile = folder / "profile"
    subprocess.run([program, "-runs=0", *map(str, inputs)], capture_output=True, check=True,
                   env={**ENVIRONMENT, "LLVM_PROFILE_FILE": str(profile)})
    subprocess.run(["llvm-profdata", "merge", "-o", f"{profile}.merged", str(profile)], check=True)
    done = subprocess.run(["llvm-cov", "export", "-summary-only", f"-instr-profile={profile}.merged", str(program)],
                          capture_output=True, text=True, check=True)
    files = json.loads(done.stdout)["data"][0]["files"]
    return {Path(file["filename"]).name: file["summary"]["lines"]["percent"] for file in files
            if "/kernel/" in file["filename"] and file["filename"].endswith(".c")}


def clear(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
