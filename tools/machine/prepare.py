# Builds a stage and makes its bootable image, for those who drive a machine themselves: tools/step and the tests of
# the walks. The way to do it is that of tools/boot, which is a program and so has to be loaded by its path.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import argparse
import os
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Iterable

from layers import ROOT, Variant

from . import iso
from .run import Request
from .walk import Run


def load_boot() -> ModuleType:
    """tools/boot as a module."""
    loader = SourceFileLoader("boot", str(ROOT / "tools/boot"))
    module = module_from_spec(spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


boot = load_boot()


def variant_of(stage: str, bug: str = "", layers: Iterable[str] = ()) -> Variant:
    """The stage, made by the compiler that make and tools/boot would take."""
    return Variant(stage, bug, tuple(Path(layer).resolve() for layer in layers), compiler=os.environ.get("CC") or "gcc")


def prepare(variant: Variant, folder: Path, run: Run = Run(), **options) -> tuple[Request, Path]:
    """A request to boot a kernel as a walk wants it, and its ELF file. It stops after the last program."""
    built = boot.build(variant)
    modules = boot.find_modules(argparse.Namespace(module=list(run.programs), programs=""), built)
    kernel = built / "kernel.elf"
    image = iso.make_run(kernel, [*run.words, "poweroff"], modules, folder)
    options.setdefault("cpus", run.cpus)
    return Request(iso=image, folder=folder, **options), kernel
