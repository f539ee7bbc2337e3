# tools/doctor on machines that lack something, or have something of the right name that cannot do its work: each tool
# of the list in tools/setup is hidden in turn, and stand-ins play a Bochs without its debugger and the like.
# Seen to fail: with a need taken out of the doctor's output, and with each check of a capability made to say OK.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest
from harness import ROOT, path_without

PYTHON = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else shutil.which("python3")
MANAGERS = ("apt-get", "dnf", "pacman", "brew")
HAS_ALL = pytest.mark.needs("bochs", "clang", "llvm", "clangd", "musl", "cloc", "git", "gdb", "ovmf", "grub-efi",
                            "clang-format", "boost", "spin", "compiler-rt")
ESSENTIAL = {"build", "gcc", "run", "bochs", "step", "doctor"}


def load_list() -> list[list[str]]:
    """The needs, each as group, check, and the packages of the four managers."""
    done = subprocess.run([str(ROOT / "tools/setup"), "--list"], stdout=subprocess.PIPE, text=True, check=True)
    return [line.split("\t")[1:] for line in done.stdout.splitlines()]


NEEDS = load_list()
CHECKS = {check: [need for need in NEEDS if need[1] == check] for check in dict.fromkeys(need[1] for need in NEEDS)}
COMMANDS = [check for check in CHECKS if check.startswith("command:")]
MODULES = [check for check in CHECKS if check.startswith("python:")]
FILES = [check for check in CHECKS if check not in COMMANDS + MODULES]


def load_doctor() -> ModuleType:
    loader = SourceFileLoader("doctor", str(ROOT / "tools/doctor"))
    module = module_from_spec(spec_from_loader(loader.name, loader))
    sys.modules[loader.name] = module       # dataclasses look for it there
    loader.exec_module(module)
    return module


class Patient:
    """A machine as tools/doctor sees it: this one, without a package manager and without what is hidden."""

    def __init__(self, folder: Path):
        self.bin = folder / "bin"
        self.path = path_without(self.bin, lambda name: name in MANAGERS)
        self.environment: dict[str, str] = {}
        self.folder = folder

    def hide(self, *names: str) -> None:
        for name in names:
            (self.bin / name).unlink(missing_ok=True)

    def program(self, name: str, script: str) -> Path:
        self.hide(name)
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    def examine(self, *command: str) -> subprocess.CompletedProcess:
        temporary = Path(tempfile.mkdtemp(dir=self.folder))
        environment = {**os.environ, "PATH": self.path, "TMPDIR": str(temporary), "PYTHON": PYTHON, "CC": "gcc",
                       **self.environment}
        done = subprocess.run(command or [PYTHON, str(ROOT / "tools/doctor")], stdin=subprocess.DEVNULL, text=True,
                              capture_output=True, env=environment, cwd=ROOT, timeout=120)
        assert "Traceback" not in done.stderr, done.stderr
        assert list(temporary.iterdir()) == [], "a temporary file is left"
        return done


@pytest.fixture
def patient(tmp_path) -> Patient:
    return Patient(tmp_path)


def lines(done: subprocess.CompletedProcess, state: str) -> list[str]:
    return [line[9:] for line in done.stdout.splitlines() if line.startswith(f"{state:9}")]


def commands(done: subprocess.CompletedProcess) -> dict[str, str]:
    """What it says to type, by manager: everything that is missing."""
    found = re.findall(r"^    (?:sudo )?((apt-get|dnf|pacman|brew) .*)$", done.stdout, re.MULTILINE)
    return {manager: line for line, manager in found}


def check_is_named(done: subprocess.CompletedProcess, check: str) -> None:
    """It is said to be missing, what for, and the package of each manager that has one stands in a command."""
    name = load_doctor().Need(check, False).name
    missing = [line for line in lines(done, "missing") if line.startswith(name + " ")]
    assert len(missing) == 1, done.stdout
    assert re.search(r"make|tools/|an editor", missing[0])
    for _, _, *packages in CHECKS[check]:
        for manager, package in zip(MANAGERS, packages):
            assert package == "-" or f" {package} " in commands(done)[manager] + " ", (manager, package)
    essential = any(need[0] in ESSENTIAL for need in CHECKS[check])
    assert ("can be done without" in missing[0]) == (not essential)
    assert not essential or done.returncode == 1


@HAS_ALL
def test_a_machine_that_has_all(patient):
    """And make doctor says the same as tools/doctor."""
    done = patient.examine()
    assert done.returncode == 0, done.stdout
    assert "all that they need is here" in done.stdout and commands(done) == {}
    assert len(lines(done, "ok")) == len(CHECKS) and not lines(done, "missing") + lines(done, "cannot")
    assert patient.examine("make", "--no-print-directory", "doctor").stdout == done.stdout


@pytest.mark.heavy
@pytest.mark.parametrize("check", COMMANDS)
def test_a_command_is_hidden(patient, check):
    patient.hide(*check.partition(":")[2].split("|"))
    check_is_named(patient.examine(), check)


@pytest.mark.heavy
@pytest.mark.parametrize("check", MODULES)
def test_a_module_is_hidden(patient, check):
    """A Python that has not got it. The doctor itself needs none."""
    tests = " ".join(f'"import {name}") exit 1;;' for name in check.partition(":")[2].split("|"))
    fake = patient.program("python-without", f'case "$2" in {tests} esac\nexec {PYTHON} "$@"')
    patient.environment["PYTHON"] = str(fake)
    check_is_named(patient.examine(), check)


def test_files_are_hidden(patient, tmp_path):
    """BIOS, plugin, GRUB's modules, headers: another root, in which there is nothing."""
    patient.environment["SETUP_ROOT"] = str(tmp_path / "nothing")
    done = patient.examine()
    for check in FILES:
        check_is_named(done, check)


def test_an_empty_folder_of_grubs_modules(patient, tmp_path):
    (tmp_path / "root/usr/lib/grub/i386-pc").mkdir(parents=True)
    patient.environment["SETUP_ROOT"] = str(tmp_path / "root")
    check_is_named(patient.examine(), "grub:i386-pc")


def test_python_is_hidden(patient):
    """Then only tools/setup can speak."""
    patient.hide("python3")
    done = patient.examine("make", "doctor", "PYTHON=/nowhere/python3")
    assert done.returncode == 2
    for command in ("apt-get install --yes --no-install-recommends python3", "dnf install --assumeyes python3",
                    "pacman --sync --needed --noconfirm python", "brew install python"):
        assert command in done.stderr


@HAS_ALL
def test_fedora(patient):
    """grub-mkrescue has another name there; the command is the manager's own, and nothing else is printed."""
    patient.hide("grub-mkrescue", "xorriso")
    patient.program("grub2-mkrescue", 'echo "grub2-mkrescue (GRUB) 2.06"')
    patient.program("dnf", "exit 1")
    done = patient.examine()
    assert any("grub2-mkrescue 2.06" in line for line in lines(done, "ok"))
    assert commands(done) == {"dnf": "dnf install --assumeyes xorriso"}


def test_arch_has_no_bochs(patient):
    patient.hide("bochs")
    patient.program("pacman", "exit 1")
    done = patient.examine()
    assert done.returncode == 1
    assert "    bochs is missing, and pacman has no package of it" in done.stdout


BOCHS = """
case "$1" in --help) echo "Bochs x86 Emulator 2.6.11"; %s exit 0;; esac
grep -q "count=1," bochsrc || { echo ">>PANIC<< bochsrc:2: cpu directive malformed."; exit 1; }
%s
"""
NO_PYTHON = """
echo 'GNU gdb 13.1'
echo 'The target architecture is set to "i386:x86-64".'
echo 'Scripting in the "Python" language is not supported in this copy of GDB.'
"""
FAKES = {
    "bochs-without-debugger": ("bochs", BOCHS % ("", "exit 1"), "cannot", "bochs 2.6.11, has no debugger"),
    "bochs-without-smp": ("bochs", BOCHS % ("echo -rc;", "echo CPU0:"), "cannot", "has its debugger, but only one CPU"),
    "bochs-that-does-not-start": ("bochs", BOCHS % ("echo -rc;", "echo '>>PANIC<< no memory'; exit 1"), "cannot",
                                  "does not start: no memory"),
    "gcc-of-another-cpu": ("gcc", "echo \"gcc: error: unrecognized command-line option '-mno-red-zone'\"; exit 1",
                           "cannot", "does not compile for x86-64: error: unrecognized command-line option"),
    "ld-of-another-cpu": ("ld", "echo 'ld: unrecognised emulation mode'; exit 1", "cannot", "ld , does not link"),
    "make-of-macos": ("make", "echo GNU Make 3.81", "too old", "make 3.81, and make 4.2 is the oldest"),
    "qemu-without-tcg": ("qemu-system-x86_64", "echo 'qemu-system-x86_64: -accel tcg: invalid accelerator'; exit 1",
                         "cannot", "does not start with TCG and the CPU max,la57=off: qemu-system-x86_64: -accel tcg"),
    "xorriso-that-fails": ("xorriso", "exit 5", "cannot", "GRUB for i386-pc makes no bootable image"),
    "mformat-that-fails": ("grub-mkrescue", "echo 'mformat: disk is full'; exit 1", "cannot",
                           "makes no bootable image: mformat: disk is full"),
    "gdb-without-python": ("gdb", NO_PYTHON, "cannot", "gdb 13.1, was built without Python"),
    "gdb-of-another-cpu": ("gdb", "echo 'Undefined item: \"i386:x86-64\".'", "cannot", "knows no x86-64"),
    "musl-without-gcc": ("musl-gcc", "echo no libc; exit 1", "cannot", "no static program that runs here: no libc"),
    "clang-of-another-cpu": ("clang", "echo 'error: unable to create target'; exit 1", "cannot",
                             "does not compile for x86-64: error: unable to create target"),
    "clang-format-too-old": ("clang-format", "echo 'unknown key'; exit 1", "cannot",
                             "does not understand .clang-format"),
}
WITHOUT = ("gdb", "musl-gcc", "clang", "clang-format")


@pytest.mark.heavy
@pytest.mark.parametrize("name", FAKES)
def test_a_tool_that_cannot(patient, name):
    program, script, state, words = FAKES[name]
    patient.program(program, script)
    done = patient.examine()
    assert any(words in line for line in lines(done, state)), done.stdout
    # This machine may lack something else, so only the tool in question is judged.
    bad = [line for line in lines(done, "cannot") + lines(done, "too old") if "can be done without" not in line]
    assert (program in WITHOUT) == (not bad), done.stdout
    assert not bad or done.returncode == 1


def test_a_python_that_is_too_old(patient):
    patient.environment["PYTHON"] = str(patient.program("old-python", f"""
        case "$1" in --version) echo Python 3.6.8;; *) exec {PYTHON} "$@";; esac"""))
    done = patient.examine()
    assert done.returncode == 1 and any("python3 3.6.8, and Python 3.9" in line for line in lines(done, "too old"))


@pytest.mark.needs("bochs", "clang", "llvm")
def test_clang_does_without_gcc(patient):
    patient.hide("gcc", "ld", "as", "nm", "ar", "objdump")
    assert patient.examine().returncode == 1
    patient.environment["CC"] = "clang"
    done = patient.examine()
    assert done.returncode == 0, done.stdout
    assert any("gcc" in line and "can be done without" in line for line in lines(done, "missing"))


def test_a_tool_that_hangs(patient, monkeypatch):
    """It is given up, and the others are looked at all the same."""
    doctor = load_doctor()
    code, said = doctor.run(["sleep", "60"], timeout=0.1)
    assert code == 1 and "timed out" in said


def test_every_group_has_a_target():
    assert {need[0].rstrip("?") for need in NEEDS} == set(load_doctor().TARGETS)


def test_flags_are_those_of_the_build():
    doctor = load_doctor()
    built = (ROOT / "tools/build.mk").read_text().replace("\\\n", " ")
    for variable in ("COMMON", "KERNEL_CFLAGS", "KERNEL_LDFLAGS", "CLANG"):
        assert re.search(rf"^{variable} :=", built, re.MULTILINE)
    flags = [*doctor.COMPILER_FLAGS, *doctor.CLANG_FLAGS, *doctor.LINKER_FLAGS]
    assert [flag for flag in flags if flag not in built.split()] == []
