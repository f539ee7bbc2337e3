# The pristine trees that submissions are built in: the stages up to the lab's, with the starter in place of what the
# student writes, and the tools that build it; nothing that holds a solution. Works the same in the full repository and
# in a hand-out, where the stage's files are the student's own and the starter lies beside them.
# One tree per lab is kept ready built: a submission is a copy of it with the submitted files on top, and make then
# builds those alone. Called by tools/grading/work.py and tools/handout.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

from layers import files_of, stage_folders

from .lab import Lab

TOOLS = ("build.mk", "layer", "layers.py", "boot")
PARTS = ("kernel/", "user/", "proof/", "programs")      # of a stage; its tests are no part of what is graded
# tools/build.mk looks for it: the tree is copied after it was built, and must not hold its own place's name.
RELOCATABLE = "tools/relocatable"


class TreeError(Exception):
    """The tree cannot be laid or built; the message says why, for a person. Never a student's fault."""


def root_of(lab: Lab) -> Path:
    """The repository or hand-out that a lab is of."""
    return lab.stage.parent.parent


def plan(lab: Lab) -> dict[str, Path]:
    """Each file of the pristine tree: its name there, and where it is copied from."""
    root = root_of(lab)
    files = {}
    for number, folder in stage_folders(root).items():
        if number <= lab.number:
            files.update({f"stages/{folder.name}/{name}": path for name, path in files_of(folder).items()
                          if name.startswith(PARTS)})
    files.update(starter(lab))
    files.update({f"tools/{name}": root / "tools" / name for name in TOOLS})
    files.update({f"tools/machine/{path.name}": path for path in (root / "tools/machine").glob("*.py")})
    return dict(sorted(files.items()))


def starter(lab: Lab) -> dict[str, Path]:
    """The hollowed files by their place in the tree. One that is missing would let the solution through."""
    found = files_of(lab.folder / "starter")
    missing = [name for name in lab.files if name not in found]
    if missing:
        raise TreeError(f"{lab.folder}/starter lacks {', '.join(missing)}, which lab.toml names")
    return {f"stages/{lab.stage.name}/{name}": path for name, path in found.items()}


def lay_tree(lab: Lab, into: Path) -> None:
    """Copies the pristine tree into a folder that is empty or not there yet."""
    for name, source in plan(lab).items():
        target = into / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
    (into / RELOCATABLE).touch()


def fingerprint(lab: Lab, flags: tuple[str, ...]) -> str:
    """Changes when the tree would, or when another compiler would build it."""
    digest = hashlib.sha256()
    for name, source in plan(lab).items():
        digest.update(f"{name}\0{source.stat().st_size}\0".encode() + source.read_bytes())
    for tool in ("gcc", "ld"):
        digest.update(subprocess.run([tool, "--version"], stdout=subprocess.PIPE, check=True).stdout)
    digest.update("\0".join(flags).encode())
    return digest.hexdigest()[:16]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    with open(path, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def ready_tree(lab: Lab, flags: tuple[str, ...] = (), cache: Path | None = None) -> Path:
    """The pristine tree, built; made at the first call, by one of several graders that start at once. `flags` are a
    challenge's, for LAB_CFLAGS. It is for copying: nobody may write there."""
    cache = cache or root_of(lab) / "build/grade"
    cache.mkdir(parents=True, exist_ok=True)
    try:
        name = f"lab{lab.number}-{fingerprint(lab, flags)}"
    except (OSError, subprocess.CalledProcessError) as error:
        raise TreeError(f"the pristine tree of lab {lab.number} cannot be laid: {error}") from None
    ready = cache / name
    if ready.is_dir():
        return ready
    with locked(cache / f"{name}.lock"):
        if not ready.is_dir():
            # Under another name until it is whole: a folder of the right name is never half built.
            partial = cache / f"{name}.partial"
            shutil.rmtree(partial, ignore_errors=True)
            lay_tree(lab, partial)
            build(lab, partial, flags)
            partial.rename(ready)
    return ready


def build(lab: Lab, tree: Path, flags: tuple[str, ...]) -> None:
    """Builds it outside of any sandbox, because nothing in it is a student's. With a challenge's flags the starter may
    lack what they call for: then only as much is built as can be."""
    environment = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MFLAGS", "CC")}
    command = ["make", "--silent", "-f", "tools/build.mk", f"-j{os.cpu_count()}", f"STAGE={lab.number}"]
    command += ["--keep-going", f"LAB_CFLAGS={' '.join(flags)}"] if flags else []
    done = subprocess.run(command, cwd=tree, env=environment, stdin=subprocess.DEVNULL, text=True, errors="replace",
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0 and not flags:
        raise TreeError(f"the starter of lab {lab.number} does not build:\n{done.stdout.rstrip()}")


def lay_submission(ready: Path, files: dict[str, Path], into: Path, lab: Lab) -> Path:
    """Makes `into`, which is not there yet, a copy of a ready tree with the submitted files ('kernel/pcr.h') on top.
    Gives the folder that they lie in."""
    # Times are kept, so that make builds only what is newer: the files below.
    subprocess.run(["cp", "-a", "--reflink=auto", "--", str(ready), str(into)], check=True)
    stage = into / "stages" / lab.stage.name
    for name, source in files.items():
        if not name.startswith(("kernel/", "user/")):   # such as the marker of a challenge: nothing to build
            continue
        target = stage / name
        target.parent.mkdir(exist_ok=True)
        target.unlink(missing_ok=True)
        shutil.copyfile(source, target)
    return stage
