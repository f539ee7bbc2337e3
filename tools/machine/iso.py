# Makes bootable images with GRUB: the small one of a single run, for BIOS or for EFI, and the words of its grub.cfg.
# Called by tools/boot; the course ISO of `make iso` has its menu in grub.cfg and is made by tools/course-iso.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from .run import MachineError, require

# What a run needs of GRUB. A full image is ten times the size, and takes Bochs twice the time to boot.
MODULES = "normal iso9660 biosdisk multiboot2"
MODULES_EFI = "normal iso9660 multiboot2"
PLATFORMS = {
    "bios": ("i386-pc", MODULES, "grub-pc-bin"),
    "efi": ("x86_64-efi", MODULES_EFI, "grub-efi-amd64-bin"),
}


def quoted(word: str) -> str:
    """A word as GRUB's scripts write it, whatever is in it. GRUB escapes it in its own way for the kernel."""
    return "'" + word.replace("'", "'\\''") + "'"


def grub_cfg(kernel_words: list[str], modules: list[list[str]]) -> str:
    """The script of a run. The path comes first on each line; GRUB passes on only the words behind it."""
    lines = [" ".join(["multiboot2", "/boot/kernel.elf", *map(quoted, kernel_words)])]
    for number, words in enumerate(modules):
        lines.append(" ".join(["module2", f"/boot/module{number}", *map(quoted, words)]))
    return "\n".join([*lines, "boot", ""])


def grub_folder(platform: str, package: str) -> Path:
    for library in ("/usr/lib/grub", "/usr/share/grub2", "/usr/lib64/grub"):
        if (Path(library) / platform / "multiboot2.mod").is_file():
            return Path(library) / platform
    raise MachineError(f"GRUB for {platform} is not installed. Debian and Ubuntu have it in the package {package}: "
                       f"sudo apt-get install {package}")


def make(kernel: Path, kernel_words: list[str], modules: list[tuple[Path, list[str]]], folder: Path,
         firmware: str = "bios") -> Path:
    """Makes the image of one run in the run's own folder and gives its path."""
    rescue = shutil.which("grub2-mkrescue") or require("grub-mkrescue", "grub-common")
    require("xorriso", "xorriso")
    require("mformat", "mtools")
    platform, grub_modules, package = PLATFORMS[firmware]
    tree = folder / "tree"
    (tree / "boot/grub").mkdir(parents=True)
    shutil.copyfile(kernel, tree / "boot/kernel.elf")
    for number, (path, _) in enumerate(modules):
        shutil.copyfile(path, tree / f"boot/module{number}")
    (tree / "boot/grub/grub.cfg").write_text(grub_cfg(kernel_words, [words for _, words in modules]))
    iso = folder / "boot.iso"
    done = subprocess.run(
        [rescue, "-d", str(grub_folder(platform, package)), f"--install-modules={grub_modules}", "--locales=",
         "--fonts=", "--themes=", "-o", str(iso), str(tree)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "TMPDIR": str(folder)},
    )
    if done.returncode != 0:
        raise MachineError(f"{rescue} failed:\n{done.stdout.rstrip()}")
    return iso
