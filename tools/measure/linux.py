# The peer: Debian's own Linux kernel, booted in the same QEMU with the same CPU model and the same measuring programs,
# so that its figures are measured and not quoted. The package is fetched once, into build/bench/linux/; a copy that
# somebody has put there is taken as it is. tools/bench calls add_peers() when all rows of ours are there.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import re
import shutil
import statistics
import subprocess
import tarfile
import tempfile
import threading
import time
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Callable, Iterable, Iterator, NamedTuple

from layers import ROOT
from machine.qemu import DEFAULT_CPU, program
from machine.run import MachineError, start, stop

from . import calls, guest
from .figures import CannotMeasure, Figures, Row
from .guest import TICKS_PER_INSTRUCTION, Results

FOLDER = ROOT / "build/bench/linux"
META_PACKAGE = "linux-image-amd64"      # depends on the newest kernel's package
PACKAGES = "linux-image-[0-9]*_amd64.deb"
DOWNLOAD_TIMEOUT = 900
TIMEOUT = 600
RUNS = 5
MEMORY = 512                # MiB; Debian's kernel does not fit into our 128
OTHER, FIFO = "SCHED_OTHER", "SCHED_FIFO"
# The kernel hands init 31 words besides its name, and cuts its command line at 2048 bytes.
MOST_WORDS = 31
MOST_BYTES = 2047

Phase = tuple[str, Iterable[str]]       # a scheduling class, and programs that run together: "calls copies=2 yield"


# ---- the package

def last_words(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-3:])


def ask(command: list[str], folder: Path) -> str:
    """Runs a program of apt, and gives what it says."""
    if not shutil.which(command[0]):
        raise CannotMeasure(f"Debian's Linux kernel cannot be fetched: there is no {command[0]} here.\n{by_hand()}")
    try:
        done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=DOWNLOAD_TIMEOUT)
    except subprocess.TimeoutExpired:
        raise CannotMeasure(f"Debian's Linux kernel cannot be fetched: '{' '.join(command)}' took more than "
                            f"{DOWNLOAD_TIMEOUT} seconds.\n{by_hand()}") from None
    if done.returncode != 0:
        raise CannotMeasure(f"Debian's Linux kernel cannot be fetched: '{' '.join(command)}' ended with "
                            f"{done.returncode}:\n{last_words(done.stderr)}\n{by_hand()}")
    return done.stdout


def by_hand() -> str:
    return (f"It needs a network and the lists of Debian's packages (apt-get update); or put the file {PACKAGES} into "
            f"{FOLDER.relative_to(ROOT)}/")


def package_name(folder: Path) -> str:
    """The package that has the newest kernel's files."""
    found = re.search(r"^ *Depends: (linux-image-\S+-amd64)$", ask(["apt-cache", "depends", META_PACKAGE], folder),
                      re.MULTILINE)
    if not found:
        raise CannotMeasure(f"Debian's Linux kernel cannot be fetched: apt knows no package {META_PACKAGE} that "
                            f"depends on a kernel. Is this another distribution?\n{by_hand()}")
    return found.group(1)


def unpack(package: Path, target: Path) -> None:
    """Takes the kernel out of its package, and reads the package to its end: a part of one is refused."""
    if not shutil.which("dpkg-deb"):
        raise CannotMeasure("Debian's Linux kernel cannot be unpacked: dpkg-deb is not installed (package dpkg)")
    kernel = b""
    with tempfile.TemporaryFile() as errors:
        process = start(["dpkg-deb", "--fsys-tarfile", str(package)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                        stderr=errors)
        try:
            with suppress(tarfile.TarError), tarfile.open(fileobj=process.stdout, mode="r|") as archive:
                for member in archive:
                    if member.isfile() and member.name.startswith("./boot/vmlinuz-"):
                        kernel = archive.extractfile(member).read()
            process.stdout.read()
            process.wait()
        finally:
            stop(process)
            process.stdout.close()
        errors.seek(0)
        said = last_words(errors.read().decode(errors="replace"))
    if process.returncode != 0 or not kernel:
        raise CannotMeasure(f"{package.name} is broken; remove it, and it is fetched anew:\n"
                            f"{said or 'there is no boot/vmlinuz-* in it'}")
    target.write_bytes(kernel)


def packages(folder: Path) -> list[Path]:
    """The packages that are here, the newest last: a file that apt-get fetched has its time of publication."""
    return sorted(folder.glob(PACKAGES), key=lambda path: path.stat().st_mtime)


def fetch(folder: Path) -> None:
    """Fetches the package; it gets its name only when it is whole."""
    with tempfile.TemporaryDirectory(prefix="download-", dir=folder) as temporary:
        here = Path(temporary)
        ask(["apt-get", "download", package_name(here)], here)
        fetched = packages(here)
        if not fetched:
            raise CannotMeasure(f"Debian's Linux kernel cannot be fetched: apt-get has left no {PACKAGES}.\n"
                                f"{by_hand()}")
        kernel = here / "vmlinuz"
        unpack(fetched[-1], kernel)
        kernel.replace(kernel_of(fetched[-1], folder))
        fetched[-1].replace(folder / fetched[-1].name)


def kernel_of(package: Path, folder: Path) -> Path:
    return folder / f"{package.stem}.vmlinuz"


def find_kernel(folder: Path = FOLDER) -> Path:
    """The kernel, fetched and unpacked if it is not here yet."""
    folder.mkdir(parents=True, exist_ok=True)
    if not packages(folder):
        fetch(folder)
    package = packages(folder)[-1]
    kernel = kernel_of(package, folder)
    if not kernel.is_file():
        with tempfile.TemporaryDirectory(prefix="unpack-", dir=folder) as temporary:
            unpack(package, Path(temporary) / "vmlinuz")
            (Path(temporary) / "vmlinuz").replace(kernel)
    return kernel


def peer_name(kernel: Path) -> str:
    """As the tables call it: "Linux 6.1"."""
    return "Linux " + re.match(r"linux-image-(\d+\.\d+)", kernel.name).group(1)


# ---- the machine

def build_init() -> Path:
    init = "build/bench/linux/init"
    done = subprocess.run(["make", "--silent", "-f", "tools/build.mk", init], cwd=ROOT, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise CannotMeasure(f"{init} cannot be built:\n{done.stderr}")
    return ROOT / init


def pack(files: Iterable[Path], target: Path) -> None:
    """Makes an initramfs: init and the programs in its root. The kernel brings /dev/console along."""
    if not shutil.which("cpio"):
        raise CannotMeasure("an initramfs for Linux cannot be made: cpio is not installed "
                            "(Debian: apt-get install cpio)")
    with tempfile.TemporaryDirectory(prefix="ringstep-bench-") as root:
        names = sorted({Path(shutil.copy(file, root)).name for file in files})
        with open(target, "wb") as output:
            subprocess.run(["cpio", "--create", "--quiet", "--format=newc", "--owner=+0:+0", "--reproducible"],
                           cwd=root, input="".join(f"{name}\n" for name in names).encode(), stdout=output, check=True)


def split(line: str, folder: Path) -> tuple[Path, str]:
    """The file of a program line, and the line as init is to see it: a file given by its path lies in the root, too."""
    name, *rest = line.split()
    file = folder / name
    if not file.is_file():
        raise CannotMeasure(f"there is no measuring program '{name}' in {folder}")
    return file, " ".join([file.name, *rest])


def kernel_words(phases: Iterable[Phase], words: str, quiet: bool) -> str:
    """The kernel's command line. What is behind -- is init's."""
    lines = [word for name, programs in phases for word in (name, *programs)]
    text = " ".join(["console=ttyS0", *(["quiet"] if quiet else []), "panic=-1", *words.split(), "--",
                     *(f'"{line}"' for line in lines)])
    if any('"' in line for line in lines):
        raise ValueError(f"a program line for Linux cannot have a quotation mark in it: {lines}")
    if len(lines) > MOST_WORDS or len(text) > MOST_BYTES:
        raise ValueError(f"Linux takes {MOST_WORDS} words for init and {MOST_BYTES} bytes in all, not this: {text}")
    return text


def command(kernel: Path, initramfs: Path, text: str, cpus: int, icount: bool) -> list[str]:
    """The command line of a machine like that of tools/machine/qemu.py; without GRUB, as Linux is booted on QEMU.

    A tick is one instruction here, and 16 on ours: with 16, the 250 clock interrupts of a second would be one in each
    250,000 instructions, so every batch would have some in it (measured: 312 instructions for getpid and not 306)."""
    words = [
        program(), "-nodefaults", "-no-user-config", "-display", "none", "-accel", "tcg", "-cpu", DEFAULT_CPU,
        "-smp", f"cpus={cpus}", "-m", f"{MEMORY}M", "-no-reboot", "-serial", "stdio",
        "-kernel", str(kernel), "-initrd", str(initramfs), "-append", text,
    ]
    return words + ["-icount", "shift=0,sleep=off"] if icount else words


def watch(words: list[str], timeout: float) -> Iterator[tuple[float, str]]:
    """Starts a machine and gives each line of its console, with the seconds since the start. Ends it at the latest when
    the caller closes this."""
    with tempfile.TemporaryFile() as errors:
        began = time.monotonic()
        process = start(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True,
                        errors="replace", start_new_session=True)
        late = threading.Event()
        timer = threading.Timer(timeout, lambda: (late.set(), process.kill()))
        timer.start()
        try:
            for line in process.stdout:
                yield time.monotonic() - began, line.rstrip("\r\n")
            if process.wait() != 0:
                errors.seek(0)
                said = f"not done in {timeout:.0f} seconds" if late.is_set() else errors.read().decode(errors="replace")
                raise CannotMeasure(f"QEMU with Linux failed: {said.strip()}")
        finally:
            timer.cancel()
            stop(process)
            process.stdout.close()


def boot(phases: Iterable[Phase], cpus: int = 1, icount: bool = True, words: str = "", quiet: bool = True,
         timeout: float = TIMEOUT) -> Iterator[tuple[float, str]]:
    """Boots Linux with measuring programs; gives its console's lines as they come."""
    if icount and cpus > 1:
        raise CannotMeasure("Linux does not come up with two CPUs when QEMU counts instructions: one waits without a "
                            "`pause`, and keeps the turn of the other")
    kernel, init, folder = find_kernel(), build_init(), guest.build_programs()
    programs = [(name, [split(line, folder) for line in lines]) for name, lines in phases]
    text = kernel_words([(name, [line for _, line in lines]) for name, lines in programs], words, quiet)
    with tempfile.TemporaryDirectory(prefix="ringstep-bench-") as temporary:
        initramfs = Path(temporary) / "initramfs"
        pack([init, *(file for _, lines in programs for file, _ in lines)], initramfs)
        try:
            yield from watch(command(kernel, initramfs, text, cpus, icount), timeout)
        except MachineError as error:
            raise CannotMeasure(str(error)) from None


# ---- results

def parse(text: str, icount: bool = True) -> list[Results]:
    """The results of each phase. Ticks become those of our machine, so that they are read in the same way."""
    if not re.search(r"^init: all have ended\r?$", text, re.MULTILINE):
        raise CannotMeasure(f"the programs on Linux have not ended well:\n{text[-2000:]}")
    factor = TICKS_PER_INSTRUCTION if icount else 1
    found = map(guest.parse, re.split(r"^init: SCHED_\w+\r?$", text, flags=re.MULTILINE)[1:])
    return [{name: [replace(one, least=one.least * factor, median=one.median * factor, most=one.most * factor)
                    for one in samples] for name, samples in results.items()} for results in found]


def run_phases(phases: Iterable[Phase], icount: bool = True, **options) -> list[Results]:
    """Boots once and runs several sets of programs, one after another."""
    with closing(boot(phases, icount=icount, **options)) as lines:
        return parse("\n".join(line for _, line in lines), icount)


def run(programs: Iterable[str], scheduler: str = OTHER, **options) -> Results:
    """The same as guest.run, on Linux: all of the programs together. The scheduling class matters where they yield."""
    return run_phases([(scheduler, list(programs))], **options)[0]


# ---- start-up

STAMP = r"^\[ *(\d+\.\d+)\] "
BEGIN = re.compile(STAMP + r"smp: Bringing up secondary CPUs")
END = re.compile(STAMP + r"smp: Brought up \d+ nodes?, (\d+) CPUs?")


class Startup(NamedTuple):
    """Milliseconds between two messages of the kernel: by our clock when they came, and by the kernel's own stamps.
    Both agree while this machine has a CPU for each of QEMU's. If not, the kernel loses ticks of its clock at that
    time, and its stamps tell too little (a third, with 16 on two): so ours counts."""

    took: float
    stamped: float


def one_startup(cpus: int) -> Startup:
    begun = stamp = None
    with closing(boot([], cpus=cpus, icount=False, quiet=False)) as lines:
        for seconds, line in lines:
            if found := BEGIN.match(line):
                begun, stamp = seconds, float(found.group(1))
            if (found := END.match(line)) and begun is not None:
                if int(found.group(2)) != cpus:
                    break
                return Startup((seconds - begun) * 1000, (float(found.group(1)) - stamp) * 1000)
    raise CannotMeasure(f"Linux has not told the start-up of {cpus} CPUs")


def startup(cpus: int, runs: int = RUNS) -> Startup:
    """What it takes Linux to start its other CPUs; medians of some runs, which end with that message."""
    return Startup(*map(statistics.median, zip(*(one_startup(cpus) for _ in range(runs)))))


def one_first_line(cpus: int) -> float:
    with closing(boot([], cpus=cpus, icount=False)) as lines:
        for seconds, line in lines:
            if line == "init: here":
                return seconds
    raise CannotMeasure("Linux has not started init")


def first_line(cpus: int = 1, runs: int = 3) -> float:
    """Seconds from the start of QEMU to the first line of a program in ring 3; the median of some runs. There is no
    GRUB in it, and the kernel is one for all machines: it is for information."""
    return statistics.median(one_first_line(cpus) for _ in range(runs))


# ---- the column

# With the protections against speculation, as Debian boots, and without.
VARIANTS = {"": "", ", mitigations=off": "mitigations=off"}
Reader = Callable[[Results], float]


@dataclass(frozen=True)
class Part:
    """One phase, and which of our rows it gives the peer's figure for. With a name it goes into the rows' notes."""

    phase: Phase
    readers: dict[str, Reader]
    name: str = ""


def of_call(name: str) -> Reader:
    return lambda results: guest.instructions(results, name)


def per_turn(tasks: int) -> Reader:
    return lambda results: results["turns"][0].instructions / tasks - LOOP


def per_page(at: int) -> Reader:
    return lambda results: sum(results[name][at].instructions for name in ("mmap", "touch", "munmap"))


def taking_turns(tasks: int) -> Phase:
    return FIFO, [f"turns {TURNS // tasks} measure", f"turns copies={tasks - 1} {TURNS // tasks}"]


LOOP = 3            # instructions of the programs' loop besides the system call
TURNS = 1024        # in a batch, of all tasks together
PAIR = ["calls copies=2 yield"]
# Processes of SCHED_FIFO yield to each other in turn, as ours do. The default class takes a longer way.
PARTS = [
    Part((OTHER, ["calls"]), {"calls.getpid": of_call("getpid"), "calls.unknown": of_call("unknown"),
                              "calls.yield-alone": of_call("yield")}),
    Part((FIFO, PAIR), {"calls.switch": calls.switch}),
    Part((OTHER, PAIR), {"calls.switch": calls.switch}, name=OTHER),
    *(Part(taking_turns(tasks), {f"scaling.yield-{tasks}": per_turn(tasks)}) for tasks in (2, 16, 256)),
    Part((OTHER, ["map"]), {f"scaling.mmap-{10 ** at}": per_page(at) for at in range(5)}),
]
STARTUP_ROWS = {"startup.cpus-2": 2, "startup.cpus-16": 16}
FIRST_LINE_ROW = "startup.run"
PLOTS = {"scaling-tasks": "scaling.yield-", "startup-cpus": "startup.cpus-"}      # and the keys of their rows


def add_note(row: Row, text: str) -> None:
    row.note = f"{row.note}; {text}" if row.note else text


def add_counts(rows: dict[str, Row]) -> None:
    """What is counted in instructions: all of it in one boot for each variant."""
    parts = [part for part in PARTS if rows.keys() & part.readers.keys()]
    for suffix, words in VARIANTS.items() if parts else ():
        peer = peer_name(find_kernel()) + suffix
        for part, results in zip(parts, run_phases([part.phase for part in parts], words=words)):
            for key in rows.keys() & part.readers.keys():
                value = round(part.readers[key](results), 1)
                if part.name:
                    add_note(rows[key], f"{peer}, {part.name}: {value:,.0f}")
                else:
                    rows[key].peers[peer] = value


def add_times(rows: dict[str, Row]) -> None:
    for key in rows.keys() & STARTUP_ROWS.keys():
        peer, measured = peer_name(find_kernel()), startup(STARTUP_ROWS[key])
        rows[key].peers[peer] = measured.took
        add_note(rows[key], f"{peer}: by its own clock {measured.stamped:,.0f}")
    if FIRST_LINE_ROW in rows:
        peer = peer_name(find_kernel())
        rows[FIRST_LINE_ROW].peers[peer] = first_line()
        add_note(rows[FIRST_LINE_ROW], f"{peer}: without GRUB")


def add_lines(figures: Figures, rows: dict[str, Row]) -> None:
    """Linux' figures as lines beside ours, where a plot has them in one table."""
    for plot in figures.plots:
        for key, peers in ((key, row.peers) for key, row in rows.items() if key.startswith(PLOTS.get(plot.key, "-"))):
            for peer, value in peers.items():
                plot.lines.setdefault(peer, []).append((int(key.rpartition("-")[2]), value))


def add_peers(figures: Figures) -> None:
    """Fills the columns of Linux in the rows that are here and that it has a figure for."""
    rows = {row.key: row for row in figures.rows}
    add_counts(rows)
    add_times(rows)
    add_lines(figures, rows)
