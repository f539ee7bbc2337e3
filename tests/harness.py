# How tests run tools/boot and make: the command, its output, and the processes that it starts.
# Used by the tests of most groups.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Iterator

ROOT = Path(__file__).resolve().parent.parent
# Python is not to be made to write at once: that is tools/boot's own affair.
os.environ.pop("PYTHONUNBUFFERED", None)
BOOT = [sys.executable, str(ROOT / "tools/boot")]


def boot(*arguments: str, timeout: float = 120, **options) -> subprocess.CompletedProcess:
    """Runs tools/boot to its end. The time-out is the test's own, well above that of the run."""
    options = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True, "errors": "replace", **options}
    return subprocess.run([*BOOT, *arguments], timeout=timeout, **options)


def unread(*command: object, **options) -> subprocess.CompletedProcess:
    """Runs a command whose output nobody reads any more, as with `| head` once that has ended."""
    read, write = os.pipe()
    os.close(read)
    try:
        return subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=write, stderr=subprocess.PIPE,
                              text=True, **options)
    finally:
        os.close(write)


@contextmanager
def started(*arguments: str, **options) -> Iterator[subprocess.Popen]:
    """Starts tools/boot in a group of its own, and makes sure that the test leaves nothing of it behind."""
    options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    process = subprocess.Popen([*BOOT, *arguments], start_new_session=True, **options)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream:
                stream.close()


def path_without(folder: Path, hidden: Callable[[str], bool]) -> str:
    """A PATH with links to all programs of this machine but those that are hidden."""
    folder.mkdir()
    for place in os.environ["PATH"].split(":"):
        for program in Path(place).glob("*"):
            link = folder / program.name
            if not hidden(program.name) and not link.is_symlink():
                link.symlink_to(program)
    return str(folder)


def wait_until(condition, seconds: float = 10):
    """Waits for something to become true, and gives it; what it last was, if time runs out."""
    deadline = time.monotonic() + seconds
    while not (value := condition()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return value


def wait_for_text(process: subprocess.Popen, text: bytes, seconds: float = 60) -> bytes:
    """Reads a process's output as it comes, until the text is in it."""
    output = b""
    deadline = time.monotonic() + seconds
    os.set_blocking(process.stdout.fileno(), False)
    while text not in output and time.monotonic() < deadline:
        ended = process.poll() is not None
        output += process.stdout.read() or b""
        if ended:
            break
        time.sleep(0.02)
    os.set_blocking(process.stdout.fileno(), True)
    assert text in output, output
    return output


def alive(pid: int) -> bool:
    """Whether a process runs; one that is dead and not yet waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def children(pid: int) -> list[int]:
    """The processes that a process has started. A name may hold any bytes."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text(errors="replace").rpartition(")")[2].split()[1]) == pid:
                found.append(int(stat.parent.name))
        except OSError:     # it has ended meanwhile
            pass
    return found
