# The container's description: it installs by tools/setup, which has the only list of packages. Whether Docker can
# build it is not tested here; its RUN commands have been run by hand in a bare Debian 12.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import json
import re
import subprocess

import pytest
from harness import ROOT

FOLDER = ROOT / ".devcontainer"
OTHERS = [".devcontainer/devcontainer.json", ".devcontainer/Dockerfile", ".ci/run", "Makefile"]


def dockerfile() -> list[str]:
    """Its instructions, each in one line."""
    text = re.sub(r"^#.*\n", "", (FOLDER / "Dockerfile").read_text(), flags=re.MULTILINE)
    return [line for line in re.sub(r"\\\n\s*", "", text).splitlines() if line]


def packages() -> set[str]:
    """Debian's names that can be nothing else: no words, no commands."""
    done = subprocess.run([str(ROOT / "tools/setup"), "--list"], stdout=subprocess.PIPE, text=True, check=True)
    needs = [line.split("\t") for line in done.stdout.splitlines()]
    return {need[3] for need in needs if "-" in need[3] and need[2] != f"command:{need[3]}"}


def test_everything_is_installed_by_the_list():
    """Seen to fail: with WHAT=build, without the --check, and on another Debian."""
    instructions = dockerfile()
    assert instructions[0] == "FROM --platform=linux/amd64 debian:bookworm-slim"
    assert instructions[1] == "COPY setup /usr/local/lib/ringstep/setup"
    (run,) = [line for line in instructions if line.startswith("RUN ")]
    steps = run[4:].split(" && ")
    assert steps[:2] == ["/usr/local/lib/ringstep/setup all", "/usr/local/lib/ringstep/setup --check all"]


def test_the_context_has_what_is_copied():
    """Seen to fail: with the context left out, which is then the folder of the Dockerfile."""
    text = re.sub(r"^//.*\n", "", (FOLDER / "devcontainer.json").read_text(), flags=re.MULTILINE)
    build = json.loads(text)["build"]
    assert (FOLDER / build["dockerfile"]).is_file()
    assert (FOLDER / build.get("context", ".") / "setup").resolve() == ROOT / "tools/setup"


@pytest.mark.parametrize("name", OTHERS)
def test_no_other_list_of_packages(name):
    """Seen to fail: with `apt-get install qemu-system-x86` in each."""
    text = (ROOT / name).read_text()
    assert not re.search(r"\b(apt-get|apt|dnf|pacman|brew)\b[^\n]*\b(install|--sync)\b", text)
    assert [package for package in packages() if re.search(rf"(?<![\w-]){re.escape(package)}(?![\w-])", text)] == []
