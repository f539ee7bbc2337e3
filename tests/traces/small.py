# A trace written by hand, for tests of the format and of its viewer that need no emulator: two CPUs, four steps, a
# stretch left out, and a frame on a stack.
# SPDX-License-Identifier: MIT
from __future__ import annotations

from typing import Any

from machine.stepper import REGISTERS

LONG = "Something was pushed, which is a long story. "
TOP = 0xffffc00000014000


def registers(**values: int) -> dict[str, str]:
    return {name: f"{values.get(name, 0):#x}" for name in REGISTERS}


def small_trace() -> dict[str, Any]:
    source = {str(number): f"line {number} of the source" for number in range(8, 21)}
    return {
        "format": "ringstep-trace", "version": 1, "stage": "05", "walk": "by-hand", "title": "A trace by hand",
        "versions": {"compiler": "a compiler", "emulator": "an emulator"}, "cpus": 2, "limit": 240, "words": [],
        "programs": ["hello one"],
        "points": [{"at": "entry", "why": "It begins.", "cpu": 0, "step": 0},
                   {"at": "entry.step2", "why": LONG * 20, "cpu": 0, "step": 2},
                   {"at": "the end", "why": "It ends.", "cpu": 1, "step": 4}],
        "start": [{"cpu": 0, "registers": registers(rip=0xffffffff80100000, rsp=TOP, rax=0x1234, gs_base=0x5000, cs=8)},
                  {"cpu": 1, "registers": registers(rip=0x401000, rsp=0x7ffffffef000, cr3=0x9000, cs=0x2b, cpl=3)}],
        "memory": [["0x7ffffffef000", 8, "0xabcdef", "0x9000"]],
        "regions": [{"name": "kernel stack of task 1", "start": f"{TOP - 0x3000:#x}", "end": f"{TOP:#x}"}],
        "structures": {"trap_frame": {"size": 176, "members": [["rsp", 160, 8], ["ss", 168, 8]]}},
        "files": [{"name": "stages/05-smp/kernel/entry.S", "lines": source}],
        "code": [{"address": "0xffffffff80100000", "text": "swapgs", "symbol": "entry", "file": 0, "line": 14},
                 {"address": "0xffffffff80100003", "text": "push 0x23", "symbol": "entry+0x3", "file": 0, "line": 15},
                 {"address": "0xffffffff80100005", "text": "push rsp", "symbol": "entry.step2", "file": 0, "line": 16},
                 {"address": "0x401000", "text": "nop", "symbol": "main", "program": "hello"}],
        "names": {"0xffffffff80100000": "entry"},
        "frames": [{"cpu": 0, "base": f"{TOP - 176:#x}", "from": 1}],
        "steps": [
            {"cpu": 0, "code": 0, "says": "Exchanges the two GS bases.",
             "changes": {"rip": "0xffffffff80100003", "gs_base": "0xffff800000001000", "kernel_gs_base": "0x5000"}},
            {"cpu": 0, "code": 1, "says": "Pushes 0x23: frame.ss.", "writes": [[f"{TOP - 8:#x}", 8, "0x23"]],
             "changes": {"rip": "0xffffffff80100005", "rsp": f"{TOP - 8:#x}"}},
            {"cpu": 0, "skipped": 1000, "says": "1000 instructions of CPU 0 are left out here.",
             "changes": {"rip": "0xffffffff80100000", "rax": "0x99"}},
            {"cpu": 1, "code": 3, "says": "Does nothing.", "changes": {"rip": "0x401001", "rflags": "0x46"}}],
    }
