# The layers: which file of which stage folder makes up the kernel of a stage, and the folder of links to them.
# The kernel of stage N is the union of stages 00 to N, then a bug, then further folders; the last one wins.
# Used by tools/layer (for the Makefile and for people) and by tools/boot; the tests of the guards use it too.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import difflib
import hashlib
import os
import re
import shutil
import subprocess
import zlib
from dataclasses import dataclass
from pathlib import Path

try:
    import tomllib
except ImportError:         # before Python 3.11; it may not be there either, and few want it
    try:
        import tomli as tomllib
    except ImportError:
        tomllib = None

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("kernel", "user", "proof", "test")
PATCH_TARGET = re.compile(r"^\+\+\+ b/((?:kernel|user|proof|test)/[^\s]+)", re.MULTILINE)


class LayerError(Exception):
    """The layers cannot be laid; the message says why, for a person."""


@dataclass(frozen=True)
class Variant:
    """One kernel that can be built: a stage, and what lies on top of it."""

    stage: str
    bug: str = ""
    layers: tuple[Path, ...] = ()
    test: bool = False
    compiler: str = "gcc"

    @property
    def name(self) -> str:
        """Names the folder in build/. Two folders of one name must not meet, hence the checksum of the path."""
        words = [self.stage]
        if self.bug:
            words.append(self.bug)
        for layer in self.layers:
            words.append(f"{layer.name}-{zlib.crc32(os.fsencode(layer)) & 0xFFFFFF:06x}")
        if self.test:
            words.append("test")
        if self.compiler != "gcc":
            words.append(os.path.basename(self.compiler))
        return "+".join(re.sub(r"[^A-Za-z0-9_.-]", "_", word) for word in words)


@dataclass
class Entry:
    """One file of the merged tree: where it comes from, what it replaces, and the patches that a bug applies."""

    source: Path
    layer: str
    replaces: Entry | None = None
    patches: tuple[Path, ...] = ()


def stage_folders(root: Path = ROOT) -> dict[str, Path]:
    """The stage folders by number, in order."""
    folders = sorted(folder for folder in (root / "stages").glob("[0-9][0-9]-*") if folder.is_dir())
    return {folder.name[:2]: folder for folder in folders}


def stage_number(word: str, root: Path = ROOT) -> str:
    """Takes '3', '03' or '03-syscall-swapgs' and gives '03'."""
    known = stage_folders(root)
    for number, folder in known.items():
        if word in (number, folder.name) or (word.isdigit() and int(word) == int(number)):
            return number
    raise LayerError(f"there is no stage '{word}'; there are {', '.join(known) or 'none'}")


def bug_folders(root: Path = ROOT) -> dict[str, Path]:
    """The folders of the bugs by name. A name is unique in the tree."""
    return {folder.name: folder for folder in sorted(root.glob("stages/*/bugs/*")) if folder.is_dir()}


def find_bug(name: str, root: Path = ROOT) -> Path:
    """The folder of a bug."""
    known = bug_folders(root)
    if name not in known:
        near = difflib.get_close_matches(name, known, 3, 0.5)
        meant = f"; did you mean {' or '.join(near)}?" if near else ""
        raise LayerError(f"there is no bug '{name}'{meant} (make bugs lists all {len(known)})")
    return known[name]


def default_stage(bug: str = "", root: Path = ROOT) -> str:
    """The stage that is meant when none is named: the one that a bug is shown on, else the last."""
    if not bug:
        return max(stage_folders(root), default="00")
    folder = find_bug(bug, root)
    about = folder / "bug.toml"
    try:
        run = tomllib.loads(about.read_text()).get("run", {}) if tomllib and about.is_file() else {}
    except tomllib.TOMLDecodeError as error:
        raise LayerError(f"{about}: {error}") from None
    return run.get("stage", folder.parent.parent.name[:2])


def files_of(folder: Path) -> dict[str, Path]:
    """The files that a layer holds, as 'kernel/pcr.c'. Editors' leftovers and hidden files do not count."""
    found = {}
    for part in PARTS:
        if (folder / part).is_dir():
            for entry in os.scandir(folder / part):
                if entry.is_file() and not entry.name.startswith((".", "#")) and not entry.name.endswith("~"):
                    found[f"{part}/{entry.name}"] = Path(entry.path)
    if (folder / "programs").is_file():
        found["programs"] = folder / "programs"
    return found


def layers_of(variant: Variant, root: Path = ROOT) -> list[tuple[str, Path]]:
    """The folders of a variant from the lowest to the topmost, each with the name to show."""
    folders = [(path.name, path) for number, path in stage_folders(root).items() if number <= variant.stage]
    if variant.bug:
        bug = find_bug(variant.bug, root)
        if bug.parent.parent.name[:2] > variant.stage:
            raise LayerError(f"bug '{variant.bug}' is of {bug.parent.parent.name}, above stage {variant.stage}")
        folders.append((f"bug {variant.bug}", bug))
    for layer in variant.layers:
        if not any((layer / part).is_dir() for part in PARTS) and not (layer / "programs").is_file():
            raise LayerError(f"layer '{layer}' is no folder with kernel/, user/, proof/ or test/ in it")
        folders.append((f"layer {layer.name}", layer))
    return folders


def merge(variant: Variant, root: Path = ROOT) -> dict[str, Entry]:
    """The merged tree of a variant: each name, and the file that stands for it."""
    tree: dict[str, Entry] = {}
    for layer, folder in layers_of(variant, root):
        for name, source in files_of(folder).items():
            tree[name] = Entry(source, layer, replaces=tree.get(name))
        if layer.startswith("bug "):
            add_patches(tree, layer, folder)
    return dict(sorted(tree.items()))


def add_patches(tree: dict[str, Entry], layer: str, folder: Path) -> None:
    """Marks the files that a bug's patches change."""
    for patch in sorted(folder.glob("*.patch")):
        names = PATCH_TARGET.findall(patch.read_text())
        if not names:
            raise LayerError(f"{patch} names no file as '+++ b/kernel/...'")
        for name in names:
            if name not in tree:
                raise LayerError(f"{patch} changes {name}, which this stage does not have")
            below = tree[name]
            tree[name] = Entry(below.source, layer, replaces=below, patches=below.patches + (patch,))


def relative(path: Path, root: Path) -> str:
    return os.path.relpath(path, root)


def describe(tree: dict[str, Entry], root: Path = ROOT) -> str:
    """The list of layers as text. Everything that is built depends on it, so it must change when a link changes
    its target and when a patched copy changes its content, and at no other time."""
    lines = []
    for name, entry in tree.items():
        line = f"{name} {relative(entry.source, root)}"
        if entry.patches:
            content = b"".join(path.read_bytes() for path in (entry.source, *entry.patches))
            line += f" patched {hashlib.sha256(content).hexdigest()[:16]}"
        lines.append(line + "\n")
    return "".join(lines)


def lay(variant: Variant, root: Path = ROOT) -> Path:
    """Lays the merged tree of a variant into build/NAME/src and gives build/NAME."""
    tree = merge(variant, root)
    folder = root / "build" / variant.name
    listing = folder / "layers"
    text = describe(tree, root)
    unchanged = listing.is_file() and listing.read_text() == text
    if not unchanged:
        listing.unlink(missing_ok=True)     # what is half laid, when a patch does not apply, is not the old list's
    for part in PARTS:
        (folder / "src" / part).mkdir(parents=True, exist_ok=True)
    for name, entry in tree.items():
        place(folder / "src" / name, entry, unchanged)
    remove_leftovers(folder / "src", tree)
    apply_patches(folder / "src", tree, unchanged)
    if not unchanged:
        listing.write_text(text)
    return folder


def place(target: Path, entry: Entry, unchanged: bool) -> None:
    """Makes one link, unless it is right already. A patched file is a copy, made anew when anything changed."""
    if entry.patches:
        if not unchanged or not target.is_file():
            target.unlink(missing_ok=True)
            shutil.copyfile(entry.source, target)
        return
    link = os.path.relpath(entry.source, target.parent)
    try:
        if os.readlink(target) == link:
            return
    except FileNotFoundError:
        pass
    except OSError:
        if unchanged:
            raise LayerError(
                f"{target} is a plain file, not a link: an edit went to the wrong place. "
                f"Move it to {entry.source}"
            ) from None
    target.unlink(missing_ok=True)
    os.symlink(link, target)


def remove_leftovers(src: Path, tree: dict[str, Entry]) -> None:
    """Removes the links to files that are gone. A plain file there may be somebody's work: it is not removed."""
    for path in (*(path for part in PARTS for path in (src / part).iterdir()), src / "programs"):
        if str(path.relative_to(src)) in tree or not os.path.lexists(path):
            continue
        if not path.is_symlink() and path.name.endswith((".c", ".h", ".S", ".ld")):
            raise LayerError(f"{path} belongs to no layer: move it into a folder of stages/, or remove it")
        path.unlink()


def apply_patches(src: Path, tree: dict[str, Entry], unchanged: bool) -> None:
    if unchanged:
        return
    for patch in sorted({patch for entry in tree.values() for patch in entry.patches}):
        done = subprocess.run(
            ["patch", "--batch", "--forward", "--strip=1", "--fuzz=0", "--no-backup-if-mismatch", "--silent",
             "--input", str(patch)],
            cwd=src, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        if done.returncode != 0:
            raise LayerError(f"{patch} does not apply:\n{done.stdout.rstrip()}")
