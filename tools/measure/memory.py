# What the kernel takes: its ELF file and the bootable images on disk, and its memory by the number of CPUs, account by
# account, whose sum must be what the frame allocator has given out.
# A group of tools/measure.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

from layers import ROOT, stage_folders

from . import guest
from .figures import CannotMeasure, Figures, Group, Row, count

MOST_BYTES = 65536      # of a stripped kernel
CPUS = (1, 8, 64)
FRAME = 4               # KiB
PROGRAM = "calls getpid"        # any: without one, those of the stage would run
# What bench/layers/frames tells, and what it is. All but the image are frames that the allocator has given out.
ACCOUNTS = {
    "pcrs": "PCR, with its GDT and TSS (the first CPU's lies in the image)",
    "interrupt-stacks": "interrupt stacks: #DF, NMI, #DB, #MC",
    "stacks": "stack to start on, then its idle task's (the first CPU's lies in the image)",
    "idle-tasks": "idle task",
    "tables-of-stacks": "page tables of the stacks",
    "tables": "other page tables of the kernel",
}


def built() -> None:
    """All stages, as make builds them."""
    done = subprocess.run(["make", "--silent"], cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise CannotMeasure(f"the kernels cannot be built:\n{done.stderr}")


def stripped_size(elf: Path, folder: Path) -> int:
    tool = shutil.which("strip") or shutil.which("llvm-strip")
    if not tool:
        raise CannotMeasure("strip is not installed; Debian has it in the package binutils")
    stripped = folder / "stripped.elf"
    subprocess.run([tool, "-o", str(stripped), str(elf)], check=True)
    return stripped.stat().st_size


def add_kernels(figures: Figures) -> None:
    built()
    with tempfile.TemporaryDirectory(prefix="ringstep-bench-") as folder:
        for number, stage in stage_folders().items():
            size = stripped_size(ROOT / f"build/{number}/kernel.elf", Path(folder))
            figures.rows.append(Row(f"memory.kernel-{number}", f"kernel of {stage.name}, stripped", "bytes", size,
                                    most=MOST_BYTES))


def add_images(figures: Figures) -> None:
    """The image of a single run of the last stage, as tools/boot makes it, and the course ISO."""
    from machine import iso
    from machine.run import MachineError
    last = ROOT / "build" / max(stage_folders())
    with tempfile.TemporaryDirectory(prefix="ringstep-bench-") as name:
        folder = Path(name)
        lines = [shlex.split(line) for line in iso.program_lines(last / "src/programs")]
        modules = [(last / "user" / words[0], words) for words in lines]
        course = folder / "ringstep.iso"
        try:
            run = iso.make_run(last / "kernel.elf", ["poweroff"], modules, folder)
        except MachineError as error:
            raise CannotMeasure(str(error)) from None
        done = subprocess.run([str(ROOT / "tools/course-iso"), str(course)], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise CannotMeasure(f"no course ISO: {done.stderr.strip()}")
        figures.rows += [
            Row("memory.iso-run", "bootable image of a run of the last stage, with GRUB", "bytes", run.stat().st_size),
            Row("memory.iso-course", "course ISO: all stages, with GRUB", "bytes", course.stat().st_size,
                note="for BIOS and EFI" if iso.grub_folder("efi") else "for BIOS"),
        ]


def frames_with(cpus: int) -> dict[str, int]:
    """What each account has in frames, with so many CPUs."""
    results = guest.run([PROGRAM], cpus=cpus, layer="frames")
    frames = {name[:-len("-1")]: samples[0].median for name, samples in results.items() if name.endswith("-1")}
    missing = {"cpus", "image", "taken", *ACCOUNTS} - frames.keys()
    if missing or frames["cpus"] != cpus:
        raise CannotMeasure(f"the kernel with {cpus} CPUs has told {frames}")
    return frames


def add_memory(figures: Figures) -> None:
    by_cpus = {cpus: frames_with(cpus) for cpus in CPUS}
    for cpus, frames in by_cpus.items():
        rest = frames["taken"] - sum(frames[name] for name in ACCOUNTS)
        figures.rows.append(Row(
            f"memory.cpus-{cpus}", f"memory of the kernel with {count(cpus, 'CPU')}, before the first program", "KiB",
            FRAME * (frames["image"] + frames["taken"]),
            note=f"image {FRAME * frames['image']}; " +
                 ", ".join(f"{name} {FRAME * frames[name]}" for name in ACCOUNTS) +
                 f"; not accounted for: {FRAME * rest}"))
    add_accounts(figures, by_cpus[CPUS[0]], by_cpus[CPUS[-1]])


def add_accounts(figures: Figures, few: dict[str, int], many: dict[str, int]) -> None:
    """What one CPU more takes, line by line: the growth from few to many, by their number."""
    more = many["cpus"] - few["cpus"]
    each = {name: FRAME * (many[name] - few[name]) / more for name in ("taken", *ACCOUNTS)}
    rest = each["taken"] - sum(each[name] for name in ACCOUNTS)
    figures.rows.append(Row(
        "memory.per-cpu", "memory of each further CPU", "KiB", round(each["taken"], 2),
        note=f"the mean of {more}; the lines below are all but {rest:.2f} of it"))
    figures.rows += [Row(f"memory.per-cpu.{name}", f"of that: {what.split(' (')[0]}", "KiB", round(each[name], 2))
                     for name, what in ACCOUNTS.items() if each[name]]


GROUP = Group("memory", "the size of kernel and images, and the kernel's memory, by CPU", [
    ("kernels", add_kernels), ("images", add_images), ("memory in use", add_memory)])
