# Lab 01: the frame of every exception, from the stub to trap() and back. Each vector is delivered with values of the
# grader's own in all registers; trap() itself is passed over, since it would end the program. Used by lab01.py.
# SPDX-License-Identifier: MIT
from __future__ import annotations

from . import ring0, scene
from .lab01_traps import INT80, Traps
from .scene import DF, IF
from .target import Ended
from .verdicts import Cause
from .way import Moment, follow

ERROR_CODES = (8, 10, 11, 12, 13, 14, 17, 21, 29, 30)
FRAME_STEPS = 400
CPU_FRAME = ("rip", "cs", "rflags", "rsp", "ss")


class Astray(Exception):
    """trap() was called a second time: the way out has led to another exception."""


class Frames:
    """Stands in ring 3, where `traps` has left it."""

    def __init__(self, traps: Traps):
        self.traps = traps
        self.bench, self.target, self.program = traps.bench, traps.target, traps.program

    def judge(self) -> None:
        vectors = [vector for vector in range(32)] + self.bench.random.sample(range(32, 256), 4)
        if INT80 in self.traps.broken:
            return
        for number, vector in enumerate(vectors):
            if vector not in self.traps.broken:
                self.frame(vector, DF if number % 2 else 0)
        for name in ("frame", "direction-flag", "return"):
            self.bench.passed(name)

    def frame(self, vector: int, flags: int) -> None:
        """Into ring 0 by int 0x80, then to the vector's gate, with an error code on the stack as the CPU would push it:
        QEMU has no way to raise some of them."""
        user = scene.fill(self.bench, self.target, self.program, "int80", flags)
        target = self.target
        entered = target.step()
        if entered["pc"] != self.traps.gate(INT80)["address"]:
            self.traps.back(6)
            return
        error = self.bench.random.getrandbits(15) & ~7 if vector in ERROR_CODES else 0
        rsp = entered["rsp"]
        if vector in ERROR_CODES:
            rsp -= 8
            target.write(rsp, error)
        target.set(rip=self.traps.gate(vector)["address"], rsp=rsp)
        before = {name: target.read(entered["rsp"] + 8 * at) for at, name in enumerate(CPU_FRAME)}
        wanted = {**{name: user[name] for name in scene.GENERAL}, **before, "vector": vector, "error": error}
        self.seen = False

        def in_c(now: Moment) -> bool:
            if now.address != target.code.symbol("trap"):
                return False
            if self.seen:
                raise Astray(now["rdi"])
            self.at_trap(now, wanted)
            return True

        try:
            for now in follow(target, lambda one: one.ring == scene.RING_3, in_c, FRAME_STEPS):
                pass
        except Astray:
            self.bench.failed("return", f"behind vector {vector} IRETQ has led to another exception, and not to ring 3")
            self.push_again(wanted)
            return
        except Ended as ended:
            name = "return" if self.seen else "frame"
            if ended.cause is not Cause.PANIC:
                self.bench.failed(name,
                    f"vector {vector}, delivered {'with' if vector in ERROR_CODES else 'without'} an "
                    f"error code, did not come to {'ring 3 again' if self.seen else 'trap()'}: {ended.text}")
            raise
        if not self.seen:
            self.bench.failed("frame", f"vector {vector} went back to ring 3 without a call of trap()")
        wrong = scene.differences(now.registers, {name: value for name, value in self.expected.items()
                                                  if name not in ("vector", "error")}) if self.seen else ""
        if wrong:
            self.bench.failed("return", f"behind vector {vector}, in ring 3 {wrong}, as the frame says")

    def push_again(self, wanted: dict[str, int]) -> None:
        """The CPU's words, wherever the stack is now, and back to the program by them."""
        for at, name in enumerate(CPU_FRAME):
            self.target.write(self.traps.top - 40 + 8 * at, wanted[name])
        ring0.back(self.target, self.traps.top - 40)

    def at_trap(self, now: Moment, wanted: dict[str, int]) -> None:
        """The frame, which is then changed: what the kernel writes there has to come back."""
        self.seen, target = True, self.target
        vector, where = wanted["vector"], now["rdi"]
        if now["rsp"] % 16 != 8:
            self.bench.failed("frame",
                f"vector {vector}: trap() was called with RSP {now['rsp']:#x}; before the CALL it has "
                "to be a multiple of 16", now.address)
        if now["rflags"] & IF:
            self.bench.failed("frame", f"vector {vector}: trap() was called with interrupts on", now.address)
        if now["rflags"] & DF:
            self.bench.failed("direction-flag", "trap() was called with DF set, as the program had it", now.address)
        try:
            frame = scene.read_frame(target, where)
        except LookupError:
            frame = {}
        wrong = scene.differences(frame, wanted) if frame else f"its address is {where:#x}, where no memory is"
        if wrong:
            self.bench.failed("frame", f"vector {vector}: in the trap frame, {wrong}", now.address)
        news = {name: self.bench.random.getrandbits(64) for name in ("rax", "rdx", "rbx", "r8", "r15")}
        self.expected = {**wanted, **news}
        scene.write_frame(target, where, {**wanted, **news})
