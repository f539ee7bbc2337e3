# Every system call that takes an address, with good and bad ones and every kind of length: what Linux answers, the
# kernel must. Linux writes to a file here: a pipe takes whole pages or nothing.
# SPDX-License-Identifier: MIT
#
# Seen to fail: without the range check of copies (a panic), with ENOMEM for EINVAL in munmap.
from __future__ import annotations

import re
import subprocess

from differential.runs import PROGRAMS, good_boot, module

ANSWER = re.compile(rb"^= (\S+ .*): (-?\d+)$", re.MULTILINE)
EINVAL, ENOMEM = -22, -12
LAST_PAGE = "Linux keeps the last page below 2^47 for itself, ringstep does not"
LINUX_DIFFERS = {
    **dict.fromkeys(("write top-8 0", "write top-1 0", "munmap top-8192 4097", "mmap top-8192 4097"), LAST_PAGE),
}
# An address that is not aligned and lies too high is wrong in two ways; Linux names the other one.
EITHER = (EINVAL, ENOMEM)


def answers(log: bytes) -> dict[str, int]:
    return {call.decode(): int(answer) for call, answer in ANSWER.findall(log)}


def same(call: str, here: int, linux: int) -> bool:
    return here == linux or (call.startswith("mmap ") and here in EITHER and linux in EITHER)


def test_each_call(tmp_path):
    with open(tmp_path / "out", "w+b") as out:
        subprocess.run([PROGRAMS / "pointers"], stdin=subprocess.DEVNULL, stdout=out, timeout=60, check=True)
        out.seek(0)
        linux = answers(out.read())
    result = good_boot("05", [module("pointers")], timeout=120)
    here = answers(result.log)
    assert [task.status for task in result.tasks] == [0]
    assert len(linux) > 1300 and here.keys() == linux.keys()
    wrong = {call for call in linux if not same(call, here[call], linux[call])}
    assert wrong == set(LINUX_DIFFERS), {call: (here[call], linux[call]) for call in wrong ^ set(LINUX_DIFFERS)}
