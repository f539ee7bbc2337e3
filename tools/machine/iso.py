# Makes bootable images with GRUB: the small one of a single run, and the course ISO with every stage.
# Called by tools/boot and by tools/course-iso.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from .run import MachineError, require

# What a single run needs of GRUB. A full image is ten times the size, and takes Bochs twice the time to boot.
# On EFI, GRUB finds its image by way of the partition tables, and complains about each kind that is not there.
PARTITIONS = ("part_acorn part_amiga part_apple part_bsd part_dfly part_dvh part_gpt part_msdos part_plan part_sun "
              "part_sunpc")
COMMANDS = "multiboot2 serial terminal echo halt"
BIOS_MODULES = f"normal iso9660 biosdisk {COMMANDS}"
EFI_MODULES = f"normal iso9660 fat {PARTITIONS} {COMMANDS}"
RUN_MODULES = {"bios": BIOS_MODULES, "efi": EFI_MODULES}
MENU_MODULES = "configfile reboot"
MOST_COPIES = 9999
PLATFORMS = {"bios": ("i386-pc", "grub-pc-bin"), "efi": ("x86_64-efi", "grub-efi-amd64-bin")}
LIBRARIES = ("/usr/lib/grub", "/usr/share/grub2", "/usr/lib64/grub")


def quoted(word: str) -> str:
    """A word as GRUB's scripts write it, whatever is in it. GRUB escapes it in its own way for the kernel."""
    return "'" + word.replace("'", "'\\''") + "'"


def loading(command: list[str], what: str, otherwise: str = "") -> str:
    """One command that loads a file. GRUB goes on when it fails and says so on the screen only: we say it on COM1."""
    return "\n".join([
        f"if {' '.join(command)}; then set loaded=1; else",
        "    serial --unit=0 --speed=115200",
        "    terminal_output --append serial",
        "    echo",     # the terminal begins with codes that clear the screen
        f"    echo {quoted(f'boot loader: {what} could not be loaded; is there too little memory?')}",
        *([f"    {otherwise}"] if otherwise else []),
        "fi"])


def copies(words: list[str]) -> list[list[str]]:
    """A module's words as often as its word copies=N says, which stands before the program's own."""
    asked = re.fullmatch(r"copies=(\d+)", words[1]) if len(words) > 1 else None
    if not asked:
        return [words]
    if not 1 <= int(asked[1]) <= MOST_COPIES:
        raise MachineError(f"module {words[0]}: {words[1]} is not from 1 to {MOST_COPIES}")
    return [words[:1] + words[2:]] * int(asked[1])


def check_words(words: list[str]) -> None:
    """Refuses what the boot loader, or a line of the kernel's, cannot carry."""
    if "" in words:
        raise MachineError(f"module {words[0]}: an argument is empty, and GRUB would not pass it on")
    if any("\n" in word for word in words):
        raise MachineError(f"module {words[0]}: an argument has a line break in it, which would tear a line of COM1")


def boot_script(kernel: str, words: list[str], modules: list[tuple[str, list[str]]]) -> str:
    """The script that boots a kernel. The path comes first on each line; GRUB passes on only the words behind it."""
    lines = [loading(["multiboot2", kernel, *map(quoted, words)], "the kernel", otherwise="halt")]
    lines += [loading(["module2", path, *map(quoted, copy)], f"module {words[0]}")
              for path, words in modules for copy in copies(words)]
    return "\n".join([*lines, "boot", ""])


def program_lines(listing: Path) -> list[str]:
    """The lines of a stage's list of programs; none where there is no list."""
    lines = listing.read_text().splitlines() if listing.is_file() else []
    return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


def grub_folder(firmware: str) -> Path | None:
    """Where GRUB's modules for a firmware lie, if they are installed."""
    folders = [Path(library) / PLATFORMS[firmware][0] for library in LIBRARIES]
    return next((folder for folder in folders if (folder / "multiboot2.mod").is_file()), None)


def require_grub(firmware: str) -> Path:
    folder = grub_folder(firmware)
    if not folder:
        platform, package = PLATFORMS[firmware]
        raise MachineError(f"GRUB for {platform} is not installed. Debian and Ubuntu have it in the package "
                           f"{package}: sudo apt-get install {package}")
    return folder


def rescue(options: list[str], tree: Path, folder: Path, iso: Path) -> None:
    """Runs grub-mkrescue over a tree; what it writes on the way goes to the given folder."""
    program = shutil.which("grub2-mkrescue") or require("grub-mkrescue", "grub-common")
    require("xorriso", "xorriso")
    require("mformat", "mtools")
    command = [program, *options, "--locales=", "--fonts=", "--themes=", "-o", str(iso), str(tree)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", env={**os.environ, "TMPDIR": str(folder)})
    if done.returncode != 0:
        raise MachineError(f"{program} failed:\n{done.stdout.rstrip()}")


def make_run(kernel: Path, kernel_words: list[str], modules: list[tuple[Path, list[str]]], folder: Path,
             firmware: str = "bios") -> Path:
    """Makes the image of one run in the run's own folder and gives its path."""
    tree = folder / "tree"
    (tree / "boot/grub").mkdir(parents=True)
    shutil.copyfile(kernel, tree / "boot/kernel.elf")
    named = []
    for number, (path, words) in enumerate(modules):
        check_words(words)
        shutil.copyfile(path, tree / f"boot/module{number}")
        named.append((f"/boot/module{number}", words))
    (tree / "boot/grub/grub.cfg").write_text(boot_script("/boot/kernel.elf", kernel_words, named))
    options = ["-d", str(require_grub(firmware)), f"--install-modules={RUN_MODULES[firmware]}"]
    iso = folder / "boot.iso"
    rescue(options, tree, folder, iso)
    return iso


def make_course(tree: Path, folder: Path, iso: Path) -> None:
    """Makes the course ISO of a tree that has boot/grub/grub.cfg in it: for BIOS, and for EFI where GRUB can."""
    modules = f"{BIOS_MODULES} {MENU_MODULES}"
    options = ["-d", str(require_grub("bios"))]
    if grub_folder("efi"):
        modules = f"{EFI_MODULES} {MENU_MODULES}"   # biosdisk is there anyway, and EFI has none
        options = []                                # both platforms go in when none is named
    partial = folder / "course.iso"
    rescue([*options, f"--install-modules={modules}"], tree, folder, partial)
    shutil.move(str(partial), iso)
