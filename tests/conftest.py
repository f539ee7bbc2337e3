# What all tests share: the groups, and what each needs to be installed. A group is a folder of tests/.
# A test whose needs are missing is skipped by name. With CI=true in the environment all must be there: a skip fails.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import glob
import importlib.util
import os
import shutil
from pathlib import Path

import pytest


def command(name: str) -> bool:
    return shutil.which(name) is not None


def files(*patterns: str) -> bool:
    return any(glob.glob(pattern) for pattern in patterns)


# What a test may need: whether it is there, and the package of Debian that has it.
NEEDS = {
    "qemu": (lambda: command("qemu-system-x86_64"), "qemu-system-x86"),
    "grub": (lambda: files("/usr/lib*/grub*/i386-pc/multiboot2.mod"), "grub-pc-bin grub-common xorriso mtools"),
    "grub-efi": (lambda: files("/usr/lib*/grub*/x86_64-efi/multiboot2.mod"), "grub-efi-amd64-bin"),
    "ovmf": (lambda: files("/usr/share/ovmf/OVMF*", "/usr/share/OVMF/OVMF*", "/usr/share/edk2*/**/OVMF*"), "ovmf"),
    "bochs": (lambda: command("bochs") and files("/usr/lib*/**/bochs/plugins/libbx_term_gui.so",
                                                 "/usr/lib*/bochs/plugins/libbx_term_gui.so")
              and files("/usr/share/bochs/BIOS-bochs-latest") and files("/usr/share/bochs/VGABIOS-lgpl-latest"),
              "bochs bochs-term bochsbios vgabios"),
    "clang": (lambda: command("clang") and command("ld.lld"), "clang lld"),
    "compiler-rt": (lambda: files("/usr/lib*/llvm*/lib/clang/*/lib/*/libclang_rt.fuzzer*.a",
                                  "/usr/lib*/clang/*/lib/*/libclang_rt.fuzzer*.a"), "libclang-rt-dev"),
    "llvm": (lambda: command("llvm-nm"), "llvm"),
    "clang-format": (lambda: command("clang-format"), "clang-format"),
    "boost": (lambda: files("/usr/lib*/*/libboost_context*", "/usr/lib*/libboost_context*"), "libboost-context-dev"),
    "clangd": (lambda: command("clangd"), "clangd"),
    "gdb": (lambda: command("gdb"), "gdb"),
    "musl": (lambda: command("musl-gcc"), "musl-tools"),
    "cloc": (lambda: command("cloc"), "cloc"),
    "git": (lambda: command("git"), "git"),
    "cpio": (lambda: command("cpio"), "cpio"),
    "matplotlib": (lambda: importlib.util.find_spec("matplotlib"), "python3-matplotlib"),
    "tabulate": (lambda: importlib.util.find_spec("tabulate"), "python3-tabulate"),
    "tqdm": (lambda: importlib.util.find_spec("tqdm"), "python3-tqdm"),
    "bubblewrap": (lambda: command("bwrap"), "bubblewrap"),
    "junitparser": (lambda: importlib.util.find_spec("junitparser"), "python3-junitparser"),
    "prove": (lambda: command("prove"), "perl"),
    "root": (lambda: os.geteuid() == 0, "sudo, and run them with it"),
    "spin": (lambda: command("spin") and command("gcc"), "spin"),
    "debootstrap": (lambda: command("debootstrap"), "debootstrap"),
    "dpkg": (lambda: command("dpkg-deb"), "dpkg"),
}
GROUPS = {"boot": ("qemu", "grub"), "differential": ("qemu", "grub", "musl"), "matrix": ("qemu", "grub"),
          "claims": ("qemu", "grub"), "bench": ("qemu", "grub"),
          "sweeps": ("qemu", "grub"), "hostile": ("qemu", "grub", "musl"), "ablation": ("qemu", "grub", "tqdm"),
          "grading": ("qemu", "tqdm"), "labs": ("qemu", "grub", "bochs", "tqdm")}


# Groups that are not of the core as a whole: the same kernels on other machines, what they cost, and the labs' grader.
HEAVY = ("matrix", "bench", "grading", "labs")


def group_of(item: pytest.Item) -> str:
    return Path(item.fspath).relative_to(Path(__file__).parent).parts[0]


@pytest.hookimpl(tryfirst=True)     # before -m is looked at
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if group_of(item) in HEAVY:
            item.add_marker(pytest.mark.heavy)


def needs_of(item: pytest.Item) -> list[str]:
    """What a test needs: by its folder, by its marks, and by an emulator among its parameters."""
    names = list(GROUPS.get(group_of(item), ()))
    for mark in item.iter_markers("needs"):
        names += mark.args
    parameters = getattr(item, "callspec", None)
    if parameters and parameters.params.get("emulator") == "bochs":
        names.append("bochs")
    return names


def pytest_runtest_setup(item: pytest.Item) -> None:
    for name in needs_of(item):
        present, package = NEEDS[name]
        if not present():
            pytest.skip(f"needs {name}, which is not installed (Debian: apt-get install {package})")


def fail_if_skipped(report) -> None:
    """Under CI=true everything is installed, so a test that is skipped there is a test that nobody runs."""
    if report.skipped and os.environ.get("CI") == "true" and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped although CI=true: {report.longrepr}"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    fail_if_skipped((yield).get_result())


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector):
    fail_if_skipped((yield).get_result())
