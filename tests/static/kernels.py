# Kernels with a change of a line or two, for the checks that need no run; built quickly, since most of each is the
# unchanged kernel's. Used by the tests of this folder.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

from claims.changes import variant as layer_of
from layers import Variant, lay
from machine.prepare import boot


class Mutant(NamedTuple):
    """A change that a check must reject."""

    name: str
    rule: str               # that must be named
    place: str              # the routine in which it must be found; '' where the finding is of none
    file: str
    replacements: tuple[tuple[str, str], ...]
    stage: str = "05"


def seed(base: Path, folder: Path, changed: str) -> None:
    """What does not depend on the changed file is the unchanged kernel's. Copied behind the laying of the layers, it is
    newer than them, and make takes it as it is."""
    for part in ("kernel", "proof", "user"):
        (folder / part).mkdir(exist_ok=True)
        for path in (base / part).iterdir():
            depends = path.with_suffix(".d")
            if path.suffix == ".o" and depends.is_file() and changed in depends.read_text():
                continue
            if path.is_file() and path.suffix != ".d":
                shutil.copy(path, folder / part / path.name)


def build(mutant: Mutant, compiler: str = "gcc") -> tuple[Variant, Path]:
    folder = layer_of(f"static-{mutant.name}", mutant.stage, mutant.file, *mutant.replacements)
    base = boot.build(Variant(mutant.stage, compiler=compiler))
    variant = Variant(mutant.stage, layers=(Path(folder),), compiler=compiler)
    target = lay(variant)
    if not (target / "kernel.elf").is_file():
        seed(base, target, mutant.file)
    return variant, boot.build(variant) / "kernel.elf"
