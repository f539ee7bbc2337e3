# The peer: Debian's own Linux kernel, booted in the same QEMU with the same CPU model and the same measuring programs, so
# that its figures are measured and not quoted. The package is fetched once, into build/bench/linux/; a copy that somebody
# has put there is taken as it is. The groups of tools/measure ask add_peers() to fill their rows.
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
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Iterable, Iterator

from layers import ROOT
from machine.qemu import DEFAULT_CPU, program
from machine.run import MachineError, start, stop

from . import guest
from .figures import CannotMeasure, Figures, Row
from .guest import TICKS_PER_INSTRUCTION, Results

FOLDER = ROOT / "build/bench/linux"
META_PACKAGE = "linux-image-amd64"      # depends on the newest kernel's package
PACKAGES = "linux-image-*_amd64.deb"
DOWNLOAD_TIMEOUT = 900
TIMEOUT = 300
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
        raise CannotMeasure(f"Debian's Linux kernel cannot be fetched: apt knows no package {META_PACKAGE} that depends "
                            f"on a kernel. Is this another distribution?\n{by_hand()}")
    return found.group(1)


def unpack(package: Path, target: Path) -> None:
    """Takes the kernel out of its package, and reads the package to its end: a part of one is refused."""
    if not shutil.which("dpkg-deb"):
        raise CannotMeasure("Debian's Linux kernel cannot be unpacked: dpkg-deb is not installed (package dpkg)")
    with tempfile.TemporaryFile() as words:
        process = start(["dpkg-deb", "--fsys-tarfile", str(package)], stdin=subprocess.DEVNULL,
                        stdout=subprocess.PIPE, stderr=words)
        kernel = None
        try:
            with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
                for member in archive:
                    if member.name.startswith("./boot/vmlinuz-") and member.isfile():
                        kernel = archive.extractfile(member).read()
            process.stdout.read()
            process.wait()
        except tarfile.TarError:
            process.wait()
            kernel = None
        finally:
            stop(process)
            process.stdout.close()
        words.seek(0)
        if process.returncode != 0 or not kernel:
            said = last_words(words.read().decode(errors="replace")) or "there is no boot/vmlinuz-* in it"
            raise CannotMeasure(f"{package} is broken; remove it, and it is fetched anew:\n{said}")
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
            raise CannotMeasure(f"Debian's Linux kernel cannot be fetched: apt-get has left no {PACKAGES}.\n{by_hand()}")
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
    """Makes an initramfs: init and the programs in its root. /dev/console is in the one that the kernel brings along."""
    if not shutil.which("cpio"):
        raise CannotMeasure("an initramfs for Linux cannot be made: cpio is not installed (Debian: apt-get install cpio)")
    with tempfile.TemporaryDirectory() as root:
        names = sorted({shutil.copy(file, root) for file in files})
        with open(target, "wb") as output:
            subprocess.run(["cpio", "--create", "--quiet", "--format=newc", "--owner=+0:+0", "--reproducible"], cwd=root,
                           input="".join(f"{Path(name).name}\n" for name in names).encode(), stdout=output, check=True)


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
    with tempfile.TemporaryDirectory() as temporary:
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


def one_startup(cpus: int) -> float:
    begun = None
    with closing(boot([], cpus=cpus, icount=False, quiet=False)) as lines:
        for _, line in lines:
            if found := BEGIN.match(line):
                begun = float(found.group(1))
            if (found := END.match(line)) and begun is not None:
                if int(found.group(2)) != cpus:
                    break
                return (float(found.group(1)) - begun) * 1000
    raise CannotMeasure(f"Linux has not told the start-up of {cpus} CPUs")


def startup(cpus: int, runs: int = 5) -> float:
    """Milliseconds that it takes Linux to start its other CPUs, by its own messages; the median of some runs. The runs
    end with that message."""
    return statistics.median(one_startup(cpus) for _ in range(runs))


def one_first_line(cpus: int) -> float:
    with closing(boot([], cpus=cpus, icount=False)) as lines:
        for seconds, line in lines:
            if line == "init: here":
                return seconds
    raise CannotMeasure("Linux has not started init")


def first_line(cpus: int = 1, runs: int = 3) -> float:
    """Seconds from the start of QEMU to the first line of a program in ring 3; the median of some runs. There is no GRUB
    in it, and the kernel is one for all machines: it is for information."""
    return statistics.median(one_first_line(cpus) for _ in range(runs))


# ---- the column

# With the protections against speculation, as Debian boots, and without.
VARIANTS = {"": "", ", mitigations=off": "mitigations=off"}
CALLS = [(OTHER, ["calls"]), (FIFO, ["calls copies=2 yield"]), (OTHER, ["calls copies=2 yield"])]
CALL_ROWS = {"calls.getpid": "getpid", "calls.unknown": "unknown", "calls.yield-alone": "yield"}
SWITCH_ROW = "calls.switch"
STARTUP_ROWS = {"startup.2": 2, "startup.16": 16}


def add_calls(rows: dict[str, Row]) -> None:
    """System calls, and a switch between two processes of SCHED_FIFO: in turn, as ours. The default class is told in the
    note: it does not switch at every yield (0.99 times)."""
    if not rows.keys() & {*CALL_ROWS, SWITCH_ROW}:
        return
    peer = peer_name(find_kernel())
    for suffix, words in VARIANTS.items():
        calls, fifo, other = run_phases(CALLS, words=words)
        for key in rows.keys() & CALL_ROWS.keys():
            rows[key].peers[peer + suffix] = guest.instructions(calls, CALL_ROWS[key])
        if SWITCH_ROW in rows:
            row = rows[SWITCH_ROW]
            row.peers[peer + suffix] = guest.instructions(fifo, "yield") / 2
            note = f"{peer}{suffix} with SCHED_OTHER: {guest.instructions(other, 'yield') / 2:,.0f}"
            row.note = f"{row.note}; {note}" if row.note else note


def add_startup(rows: dict[str, Row]) -> None:
    for key in rows.keys() & STARTUP_ROWS.keys():
        rows[key].peers[peer_name(find_kernel())] = startup(STARTUP_ROWS[key])


def add_peers(figures: Figures) -> None:
    """Fills the column of Linux in the rows that are here and that it has a figure for."""
    rows = {row.key: row for row in figures.rows}
    add_calls(rows)
    add_startup(rows)
