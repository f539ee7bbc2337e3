# A bare Debian that test_bare_root.py grades in, as narrow as a course's container: the capabilities that Docker gives,
# one CPU, 768 MiB, name spaces of its own for mounts and processes, so that nothing of it stays behind.
# The roots are kept in build/debootstrap: one that debootstrap has made, and one in which a bundle's setup.sh has run.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time
from pathlib import Path

from harness import ROOT

KEPT = ROOT / "build/debootstrap"
MEMORY = 768 << 20
# What Docker leaves to root. CAP_SYS_ADMIN is not among it, so that not even root can mount or make a name space; nor
# can a user, because all are in a chroot.
CAPABILITIES = ("chown", "dac_override", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap", "net_bind_service",
                "net_raw", "sys_chroot", "mknod", "audit_write", "setfcap")
# $1: the root; $2: a file to join a control group by, or nothing; then the command. The devices are a container's.
SCRIPT = r"""
set -eu
root=$1 group=$2; shift 2
[ -z "$group" ] || echo $$ >"$group"
mount --make-rprivate /
mount -t tmpfs -o mode=755 dev "$root/dev"
for device in null:3 zero:5 full:7 random:8 urandom:9; do
    mknod -m 666 "$root/dev/${device%:*}" c 1 "${device#*:}"
done
ln -s /proc/self/fd "$root/dev/fd"; mkdir -m 1777 "$root/dev/shm"; mkdir "$root/dev/pts"
mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/dev/pts"; ln -s pts/ptmx "$root/dev/ptmx"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 run "$root/run"
exec chroot "$root" setpriv --bounding-set="$CAPABILITIES" --inh-caps=-all \
    env -i $VARIABLES PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin taskset -c 0 "$@"
"""


def fresh_root() -> Path:
    """What debootstrap makes; once."""
    made = KEPT / "minbase"
    if not made.is_dir():
        partial = KEPT / "minbase.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        subprocess.run(["debootstrap", "--variant=minbase", "bookworm", partial], check=True, timeout=900,
                       stdout=subprocess.DEVNULL)
        # The same mirror, and the same trust in it, as this machine has.
        shutil.copy("/etc/resolv.conf", partial / "etc/resolv.conf")
        settings = subprocess.run(["apt-config", "dump"], text=True, stdout=subprocess.PIPE, check=True).stdout
        kept = [line for line in settings.splitlines() if line.startswith("Acquire::") and "::IndexTargets" not in line]
        (partial / "etc/apt/apt.conf.d/99machine").write_text("\n".join(kept) + "\n")
        partial.rename(made)
    return made


def root_for(*sources: bytes) -> Path:
    """A root for a bundle with these files, which say what is installed there: a bare one, or one in which a bundle
    with the same ones was set up earlier: its `set-up` says so. Others are removed."""
    key = hashlib.sha256(b"\0".join(sources)).hexdigest()[:16]
    root = KEPT / f"bundle-{key}"
    for other in KEPT.glob("bundle-*"):
        if other != root or not (root / "set-up").exists():
            shutil.rmtree(other)
    if not root.is_dir():
        partial = KEPT / "bundle.partial"
        shutil.rmtree(partial, ignore_errors=True)
        subprocess.run(["cp", "--archive", "--reflink=auto", fresh_root(), partial], check=True)
        partial.rename(root)
    shutil.rmtree(root / "autograder", ignore_errors=True)
    return root


class Group:
    """A control group with 768 MiB, of the first or the second kind; where none can be made `why` says so."""

    #        top, limit, highest use, what gives back the memory in which files are kept
    KINDS = (("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.max_usage_in_bytes", "memory.force_empty"),
             ("/sys/fs/cgroup", "memory.max", "memory.peak", "memory.reclaim"))

    def __init__(self) -> None:
        self.folder, self.why = None, ""
        for top, limit, self.highest, self.give_back in self.KINDS:
            folder = Path(top) / f"ringstep-{os.getpid()}"
            try:
                folder.mkdir()
                self.folder = folder
                (folder / limit).write_text(str(MEMORY))
                return
            except OSError as error:
                self.why = f"no control group: {error}"
                self.close()

    @property
    def file(self) -> str:
        return str(self.folder / "cgroup.procs") if self.folder else ""

    def empty(self) -> None:
        """Counts anew, without the files that an earlier command has read; as far as the kernel lets us."""
        for name, text in ((self.give_back, str(MEMORY)), (self.highest, "0")):
            try:
                if self.folder:
                    (self.folder / name).write_text(text)
            except OSError:
                pass

    def peak(self) -> int:
        """The most that was used, in MiB, with files that the kernel keeps in memory as long as there is room."""
        try:
            return int((self.folder / self.highest).read_text()) >> 20 if self.folder else 0
        except OSError:
            return 0

    def close(self) -> None:
        for _ in range(50):
            try:
                if self.folder:
                    self.folder.rmdir()
                self.folder = None
                return
            except OSError:
                time.sleep(0.1)


def inside(root: Path, group: Group, *command: str, folder: str = "/", seconds: float = 900,
           **variables: str) -> subprocess.CompletedProcess:
    """Runs a command there, as root; all that it has started ends with it."""
    allowed = ",".join(["-all", *(f"+{name}" for name in CAPABILITIES)])
    words = " ".join([f"--chdir={folder}", *(f"{name}={value}" for name, value in variables.items())])
    return subprocess.run(["unshare", "--mount", "--pid", "--ipc", "--fork", "--kill-child", "--", "bash", "-c", SCRIPT,
                           "bash", root, group.file, *command], text=True, errors="replace", timeout=seconds,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env={**os.environ, "CAPABILITIES": allowed, "VARIABLES": words})
