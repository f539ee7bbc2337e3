# A mutant is a small change of the kernel's source that a test must notice: the test is seen to fail.
# It stands in the test's own C file, beside the check that notices it, as /* mutant FILE: OLD => NEW */.
# Used by test_unit.py and test_selftest.py.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

COMMENT = re.compile(r"/\* mutant (\S+): (.+?) =>\s*(.*?)\s*\*/", re.DOTALL)


class Mutant(NamedTuple):
    """One change of one source file."""

    file: str
    old: str
    new: str

    def apply(self, source: str) -> str:
        """The changed source. Blanks and line ends count alike, so that formatting changes nothing."""
        pattern = r"\s+".join(map(re.escape, self.old.split()))
        found = len(re.findall(pattern, source))
        assert found == 1, f"{self.file} has '{self.old}' {found} times: renew this mutant"
        return re.sub(pattern, lambda _: self.new, source)


def mutants_of(test: Path) -> list[Mutant]:
    return [Mutant(*(" ".join(part.split()) for part in match)) for match in COMMENT.findall(test.read_text())]
