# tools/setup on machines that lack something: a PATH with only what we put there, and a package manager that only
# writes down how it was called. Seen to fail: with a package's name changed in tools/setup.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from harness import ROOT

TOOLS = ("bash", "sh", "sed", "sort", "tr", "env", "cat", "gcc", "ld", "make", "patch", "flock", "diff", "awk", "python3")


class Machine:
    """A machine as tools/setup sees it."""

    def __init__(self, folder: Path):
        self.bin = folder / "bin"
        self.log = folder / "log"
        self.bin.mkdir()
        for tool in TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool))
        self.program("id", "echo 0")

    def program(self, name: str, script: str) -> None:
        path = self.bin / name
        path.write_text(f"#!{shutil.which('bash')}\n{script}\n")
        path.chmod(0o755)

    def manager(self, name: str, code: int = 0) -> None:
        self.program(name, f'echo "{name} $*" >>{self.log}; exit {code}')

    def setup(self, *words: str) -> subprocess.CompletedProcess:
        return subprocess.run([str(ROOT / "tools/setup"), *words], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, env={"PATH": str(self.bin), "PYTHON": "/usr/bin/python3"})

    def installed(self) -> str:
        return self.log.read_text() if self.log.exists() else ""


@pytest.fixture
def machine(tmp_path) -> Machine:
    return Machine(tmp_path)


def test_quiet_when_nothing_is_missing(machine):
    done = machine.setup("build")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("manager, command", [
    ("apt-get", "apt-get install --yes --no-install-recommends gcc patch \n"),
    ("dnf", "dnf install --assumeyes gcc patch \n"),
    ("pacman", "pacman --sync --needed --noconfirm gcc patch \n"),
    ("brew", "brew install gcc gpatch \n"),
])
def test_installs_just_what_is_missing(machine, manager, command):
    (machine.bin / "gcc").unlink()
    (machine.bin / "patch").unlink()
    machine.manager(manager)
    assert machine.setup("build").returncode == 0
    assert machine.installed() == command.replace(" \n", "\n")


@pytest.mark.parametrize("manager, command", [
    ("apt-get", "sudo apt-get install --yes --no-install-recommends gcc"),
    ("dnf", "sudo dnf install --assumeyes gcc"),
    ("pacman", "sudo pacman --sync --needed --noconfirm gcc"),
])
def test_names_the_command_without_root_and_sudo(machine, manager, command):
    (machine.bin / "gcc").unlink()
    machine.manager(manager)
    machine.program("id", "echo 1000")
    done = machine.setup("build")
    assert done.returncode == 2
    assert command in done.stderr
    assert machine.installed() == ""


def test_uses_sudo_where_it_needs_no_password(machine):
    (machine.bin / "gcc").unlink()
    machine.manager("apt-get")
    machine.program("id", "echo 1000")
    machine.program("sudo", 'if [ "$1" = -n ]; then exit 0; fi; exec "$@"')
    assert machine.setup("build").returncode == 0
    assert "install" in machine.installed()


def test_asks_for_the_lists_when_they_are_old(machine):
    (machine.bin / "gcc").unlink()
    machine.program("apt-get", f'echo "$*" >>{machine.log}; [ "$1" = update ] || grep -q update {machine.log}')
    (machine.bin / "grep").symlink_to(shutil.which("grep"))
    assert machine.setup("build").returncode == 0
    assert [line.split()[0] for line in machine.installed().splitlines()] == ["install", "update", "install"]


def test_failed_installation_is_an_error(machine):
    (machine.bin / "gcc").unlink()
    machine.manager("apt-get", code=100)
    done = machine.setup("build")
    assert done.returncode == 2
    assert "apt-get install --yes --no-install-recommends gcc" in done.stderr


def test_no_package_manager(machine):
    (machine.bin / "gcc").unlink()
    done = machine.setup("build")
    assert done.returncode == 2
    assert "no apt-get, dnf, pacman or brew" in done.stderr
    for command in ("sudo apt-get install --yes --no-install-recommends gcc\n", "sudo dnf install --assumeyes gcc\n",
                    "sudo pacman --sync --needed --noconfirm gcc\n", "    brew install gcc\n"):
        assert command in done.stderr


def test_brew_needs_no_root(machine):
    """It refuses to run as root, so there is no sudo in what is run and in what is printed."""
    (machine.bin / "patch").unlink()
    machine.manager("brew")
    machine.program("id", "echo 1000")
    assert "To install it: brew install gpatch" in machine.setup("--check", "build").stderr
    assert machine.setup("build").returncode == 0
    assert machine.installed() == "brew install gpatch\n"


def test_clang_needs_no_gcc(machine):
    """Seen to fail: with gcc in the group build."""
    for tool in ("gcc", "ld"):
        (machine.bin / tool).unlink()
    for tool in ("clang", "ld.lld", "llvm-nm", "llvm-ar"):
        (machine.bin / tool).symlink_to("/bin/true")
    machine.manager("apt-get")
    assert machine.setup("build", "clang").returncode == 0
    assert machine.setup("build", "clang-15").returncode == 0
    assert machine.installed() == ""
    assert machine.setup("build", "gcc").returncode == 0
    assert machine.installed() == "apt-get install --yes --no-install-recommends binutils gcc\n"
    (machine.bin / "llvm-nm").unlink()
    assert machine.setup("build", "clang").returncode == 0
    assert machine.installed().endswith("install --yes --no-install-recommends llvm\n")


def test_list(machine):
    """One need a line, for programs: what tools/doctor reads."""
    (machine.bin / "gcc").unlink()
    done = machine.setup("--list")
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert done.returncode == 0 and all(len(line) == 7 for line in lines)
    assert ["missing", "gcc", "command:gcc", "gcc", "gcc", "gcc", "gcc"] in lines
    assert ["present", "build", "command:patch", "patch", "patch", "patch", "gpatch"] in lines
    assert {line[0] for line in lines} == {"present", "missing"}


def test_run_needs_an_emulator_and_no_test_tools(machine):
    machine.manager("apt-get")
    assert machine.setup("build", "run").returncode == 0
    assert "qemu-system-x86" in machine.installed()
    assert "pytest" not in machine.installed() and "bochs" not in machine.installed()


def test_tests_can_do_without_some_tools(machine):
    """What cannot be had is said, and only its tests are skipped."""
    machine.program("apt-get", f'echo "$*" >>{machine.log}; case "$*" in *musl*) exit 100;; esac')
    done = machine.setup("test")
    assert done.returncode == 0
    assert "musl-tools could not be installed; tests that need it are skipped" in done.stderr


def test_says_how_it_is_used(machine):
    done = machine.setup()
    assert done.returncode == 2 and "Usage: tools/setup" in done.stdout


def test_skip_fails_under_ci(tmp_path):
    """A group that is skipped by name on a reader's machine is a failure where everything is installed."""
    folder = tmp_path / "tests"
    (folder / "group").mkdir(parents=True)
    shutil.copy(ROOT / "tests/conftest.py", folder)
    shutil.copy(ROOT / "tests/pytest.ini", folder)
    (folder / "group/test_skip.py").write_text("import pytest\npytestmark = pytest.mark.needs('bochs')\n"
                                               "def test_bochs(): pass\n")
    results = {}
    for ci in ("", "true"):
        done = subprocess.run([shutil.which("python3", path="/usr/bin"), "-m", "pytest", "-rs", str(folder)],
                              env={**os.environ, "PATH": str(tmp_path), "CI": ci}, capture_output=True, text=True)
        results[ci] = (done.returncode, done.stdout)
    assert results[""][0] == 0 and "needs bochs, which is not installed" in results[""][1]
    assert results["true"][0] == 1 and "skipped although CI=true" in results["true"][1]
