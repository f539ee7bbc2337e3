# User ids for those who run a submission's code on behalf of root: one for each command, so that the kernel counts its
# processes alone, and none may signal or trace another's. Used by the modules beside it.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import fcntl
import os
import pwd
from pathlib import Path

# Debian keeps 60000-64999 for packages and gives out those above 64000 alone; a container's 65536 ids have them too.
IDS = range(60100, 60400)
FOLDER = Path("/run/ringstep-grade")


class SandboxError(Exception):
    """This sandbox cannot be used here; the message says why and what to do, for a person."""


def is_free(number: int) -> bool:
    try:
        pwd.getpwuid(number)
    except KeyError:
        return True
    return False


def claim() -> tuple[int, int]:
    """An id that nobody else uses, and a file descriptor: it is ours until that is closed, or we end."""
    try:
        FOLDER.mkdir(mode=0o700, parents=True, exist_ok=True)
        for number in IDS:
            lock = os.open(FOLDER / str(number), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if is_free(number):
                    return number, lock
            except OSError:
                pass
            os.close(lock)
    except OSError as error:
        raise SandboxError(f"no user id can be set aside for a submission's code: {error}") from None
    raise SandboxError(f"all user ids from {IDS.start} to {IDS.stop - 1} are taken")


def release(lock: int | None) -> None:
    if lock is not None:
        os.close(lock)


def give(folder: Path, group: int) -> None:
    """Lets a group write in a folder and all that we own in it, and nobody else look. What lies there may be a
    student's, so no link is followed; a file with a second name is left alone, for that name may be anywhere."""
    for _, folders, files, where in os.fwalk(folder, follow_symlinks=False):
        os.chown(where, -1, group)
        os.fchmod(where, os.fstat(where).st_mode & 0o7770 | 0o770)
        for name in files:
            about = os.stat(name, dir_fd=where, follow_symlinks=False)
            if about.st_uid == os.geteuid() and about.st_nlink == 1:
                os.chown(name, -1, group, dir_fd=where, follow_symlinks=False)
                if about.st_mode & 0o170000 == 0o100000:
                    os.chmod(name, about.st_mode & 0o7777 | 0o660, dir_fd=where)
