# Keeps one command that runs as an unprivileged user: when the command ends, or we are told to end, or the grader dies,
# everything of that user is ended and its files outside of the work folder are removed.
# Started as root by unprivileged.py:  keeper.py GRADER'S-PID USER GROUP COMMAND...   SPDX-License-Identifier: MIT
from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time

LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
CLONE_NEWNET, CLONE_NEWIPC = 0x40000000, 0x08000000
SHARED = ("/tmp", "/var/tmp", "/dev/shm", "/run/lock")      # where everybody may write


def end_all(user: int) -> None:
    """Ends every process of a user at once, as the kernel does for one of them: a fork bomb cannot outrun that."""
    while True:
        child = os.fork()
        if child == 0:
            try:
                os.setgroups([])
                os.setresuid(user, user, user)
                os.kill(-1, signal.SIGKILL)         # all that we may, but ourselves
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        try:
            while os.waitpid(-1, os.WNOHANG) != (0, 0):     # the orphans are ours to bury
                pass
        except ChildProcessError:
            return
        time.sleep(0.01)


def clean(user: int, work: str) -> None:
    """Removes what a user has left where everybody may write."""
    for place in SHARED:
        try:
            for entry in list(os.scandir(place)):
                if entry.stat(follow_symlinks=False).st_uid != user or f"{work}/".startswith(f"{entry.path}/"):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path, ignore_errors=True)
                else:
                    os.unlink(entry.path)
        except OSError:
            continue


def stop(*_: object) -> None:
    raise SystemExit(128 + signal.SIGTERM)


def main() -> int:
    grader, user, group = map(int, sys.argv[1:4])
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)    # Ctrl-C is the grader's, who will tell us
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1)
    if os.getppid() != grader:
        return 1
    LIBC.unshare(CLONE_NEWNET)                      # where it is allowed; a container may have said no
    LIBC.unshare(CLONE_NEWIPC)
    command = ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", "--no-new-privs",
               "--inh-caps=-all", "--pdeathsig=KILL", "--", *sys.argv[4:]]
    try:
        code = subprocess.Popen(command, close_fds=False).wait()
        return 128 - code if code < 0 else code
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        end_all(user)
        clean(user, os.getcwd())


if __name__ == "__main__":
    sys.exit(main())
