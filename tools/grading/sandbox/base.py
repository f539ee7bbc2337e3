# What the sandboxes have in common: limits, the process that is started, and the watch over what the kernel has no
# limit for. Used by the modules beside it.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import os
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import users

MIB = 1 << 20
PAUSE = 0.2                 # seconds between two looks of the watch
EVERY = 5                   # looks at the processes for one at the folder
TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/nonexistent", "TERM": "xterm"}


@dataclass(frozen=True)
class Limits:
    """What a command and all that it starts may use. The kernel knows limits for one process only: what is said of
    all together is seen to by a watch, which looks several times a second."""

    memory: int = 1024          # MiB, resident in all processes together
    address_space: int = 4096   # MiB that one process may map; QEMU reserves far more than it touches
    processes: int = 128        # threads count
    cpu_seconds: int = 600      # of one process, and of all together
    file: int = 256             # MiB of one file
    disk: int = 512             # MiB of all files in the work folder

    def command(self, with_processes: bool = True) -> list[str]:
        """prlimit, to be put before a command. Processes are counted by user: not for one who has others as well."""
        prlimit = ["prlimit", f"--as={self.address_space * MIB}", f"--cpu={self.cpu_seconds}",
                   f"--fsize={self.file * MIB}", "--core=0", "--nofile=1024", "--memlock=1048576", "--msgqueue=0"]
        return prlimit + ([f"--nproc={self.processes}"] if with_processes else []) + ["--"]

# A command begins when it has said that it is about to, and was told to go on. If we die before all around it has
# arranged to die with us (bwrap does that in several processes, one after the other), nobody answers, and it ends.
GATE = 'echo >&{said}; read -r <&{told} || exit 125; exec {said}>&- {told}<&-; exec "$@"'


class Sandboxed(subprocess.Popen):
    """A process in a sandbox. `over` names the limit for which the watch has ended it."""

    over: str = ""


class Sandbox:
    """Starts commands that must not do harm. As root, each is another user, and what it writes belongs to a group
    that is ours as long as we live."""

    name = ""
    process_class: type[Sandboxed] = Sandboxed
    group: int | None = None

    def check(self) -> None:
        """Raises SandboxError where it cannot be used."""

    def separate(self) -> None:
        """Called in a process of its own for each submission: none may write what belongs to another."""
        if self.group is not None:
            self.group, _ = users.claim()

    def hides(self, path: Path) -> bool:
        """Can a command in the sandbox not read that file or folder?"""
        raise NotImplementedError

    def command(self, command: list[str], folder: Path, read: tuple[Path, ...], limits: Limits,
                user: int | None) -> list[str]:
        """The command, wrapped."""
        raise NotImplementedError

    def temporary(self, folder: Path) -> str:
        """Where a command may put temporary files."""
        return "/tmp"

    def options(self) -> dict[str, Any]:
        """For Popen."""
        return {}

    def start(self, command: list[str], folder: Path, *, read: tuple[Path, ...] = (), limits: Limits = Limits(),
              **popen: Any) -> Sandboxed:
        """Starts a command. The folder is all that it can write; `read` is what it can read besides the system.
        It gets no input, and an environment of its own, unless `popen` says otherwise."""
        folder = folder.resolve()
        user = lock = None
        if self.group is not None:
            user, lock = users.claim()
            users.give(folder, self.group)
        (listen, said), (told, tell) = os.pipe(), os.pipe()
        gate = ["bash", "-c", GATE.format(said=said, told=told), "gate"]
        wrapped = self.command([*gate, *map(os.fspath, command)], folder, tuple(path.resolve() for path in read),
                               limits, user)
        options = {"stdin": subprocess.DEVNULL, "cwd": folder, "umask": 0o002, **self.options(), **popen}
        options["env"] = {**ENVIRONMENT, "TMPDIR": self.temporary(folder), **(popen.get("env") or {})}
        options["pass_fds"] = (*popen.get("pass_fds", ()), said, told)
        try:
            process = self.process_class(wrapped, **options)
        except BaseException:
            users.release(lock)
            os.close(listen)
            os.close(tell)
            raise
        finally:
            os.close(said)
            os.close(told)
        threading.Thread(target=watch, args=(process, folder, limits, lock, listen, tell), daemon=True).start()
        return process


def open_gate(process: Sandboxed, listen: int, tell: int) -> None:
    try:
        if os.read(listen, 1) and process.poll() is None:
            os.write(tell, b"\n")
    except OSError:
        pass
    finally:
        os.close(listen)
        os.close(tell)


def watch(process: Sandboxed, folder: Path, limits: Limits, lock: int | None, listen: int, tell: int) -> None:
    """Ends a process that uses more than it may, with all that it has started. Then its user id is free."""
    open_gate(process, listen, tell)
    looks = 0
    while process.poll() is None:
        memory, seconds = usage(process.pid)
        if memory > limits.memory * MIB:
            process.over = f"more than {limits.memory} MiB of memory"
        elif seconds > limits.cpu_seconds:
            process.over = f"more than {limits.cpu_seconds} seconds of CPU time"
        elif looks % EVERY == 0 and size_of(folder, limits.disk * MIB) > limits.disk * MIB:
            process.over = f"more than {limits.disk} MiB of disk"
        if process.over:
            process.kill()
            process.wait()
        looks += 1
        time.sleep(PAUSE)
    users.release(lock)


def descendants(pid: int) -> list[int]:
    """A process and all below it. Whoever has lost its parent is adopted within the sandbox, and so is still below."""
    found, todo = [], [pid]
    while todo:
        found.append(todo.pop())
        try:
            threads = os.listdir(f"/proc/{found[-1]}/task")
        except OSError:
            continue
        for thread in threads:
            try:
                todo += map(int, Path(f"/proc/{found[-1]}/task/{thread}/children").read_text().split())
            except OSError:
                pass
    return found


def usage(pid: int) -> tuple[int, float]:
    """Bytes resident and seconds of CPU time, of a process and all below it."""
    memory, ticks = 0, 0
    for each in descendants(pid):
        try:
            # After the name, which may hold anything: state is field 3; 14 to 17 are times, 24 is the resident size.
            fields = Path(f"/proc/{each}/stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        memory += int(fields[21]) * PAGE
        ticks += sum(map(int, fields[11:15]))
    return memory, ticks / TICK


def size_of(folder: Path, enough: int) -> int:
    """Bytes on disk below a folder; it stops counting when there are enough. Links are not followed."""
    total, todo = 0, [os.fspath(folder)]
    while todo and total <= enough:
        try:
            with os.scandir(todo.pop()) as entries:
                for entry in entries:
                    total += entry.stat(follow_symlinks=False).st_blocks * 512 + 512    # an empty file costs as well
                    if entry.is_dir(follow_symlinks=False):
                        todo.append(entry.path)
        except OSError:
            continue
    return total
