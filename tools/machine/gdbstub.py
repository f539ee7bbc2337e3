# A small client of QEMU's gdbstub: stops a machine at an address, reads registers and memory, and gives commands to
# QEMU's monitor. `tools/boot --gdb SOCKET` starts a machine that waits for it.
# Used by the tests of the walks. The protocol: GDB's manual, "GDB Remote Serial Protocol".
# SPDX-License-Identifier: MIT
from __future__ import annotations

import re
import select
import socket
import time
from contextlib import suppress

from .run import MachineError, NotInTime, with_pc

PATIENCE = 60       # seconds until a machine that does not answer is taken for stuck
ENDED = "QEMU has ended"
PACKET = re.compile(rb"\$([^#]*)#[0-9a-f]{2}")
# QEMU's names where they are not ours.
NAMES = {"eflags": "rflags", "k_gs_base": "kernel_gs_base"}
# By default QEMU takes no interrupt at a single step, not even an NMI; this makes a step an instruction like any.
STEP_AS_USUAL = "Qqemu.sstep=0x1"
STEP_UNDISTURBED = "Qqemu.sstep=0x7"        # neither an interrupt nor a timer; with -icount a timer would come early


class GdbError(MachineError):
    """The machine ended, is stuck, or refused a request."""


class GdbSilent(GdbError, NotInTime):
    """QEMU does not answer: the machine runs on and does not come to where it should stop."""


class Gdbstub:
    """One machine in QEMU, standing still until it is told to run."""

    emulator = "qemu"

    def __init__(self, path: str, patience: float = PATIENCE):
        self.socket = connect(path, patience)
        self.received = b""
        self.request(STEP_AS_USUAL)
        self.layout = self.register_layout("target.xml")
        self.threads = self.thread_names()
        self.cpus = len(self.threads)
        self.cpu = 0                # the one that registers and memory are read of

    def close(self) -> None:
        self.socket.close()

    def request(self, text: str) -> str:
        """Sends a packet and gives the answer."""
        self.send(text)
        return self.answer()

    def send(self, text: str) -> None:
        data = text.encode()
        try:
            self.socket.sendall(b"$%s#%02x" % (data, sum(data) % 256))
        except ConnectionError:
            raise GdbError(ENDED) from None

    def interrupt(self) -> None:
        """Stops a machine that runs; the answer to what made it run comes then."""
        with suppress(ConnectionError):     # a machine that has ended: whoever waits for the answer is told
            self.socket.sendall(b"\x03")

    def answered(self, seconds: float) -> bool:
        """Whether a whole answer comes within that time. The '+' for a packet that has arrived is none."""
        deadline = time.monotonic() + seconds
        while not PACKET.search(self.received):
            if not select.select([self.socket], [], [], max(deadline - time.monotonic(), 0))[0]:
                return False
            self.receive()
        return True

    def answer(self) -> str:
        while not (found := PACKET.search(self.received)):
            self.receive()
        self.received = self.received[found.end():]
        with suppress(ConnectionError):     # the last answer of a machine that has ended is an answer
            self.socket.sendall(b"+")
        return found[1].decode("latin-1")

    def receive(self) -> None:
        """Takes what QEMU has sent, or waits for it."""
        try:
            data = self.socket.recv(65536)
        except socket.timeout:
            raise GdbSilent(f"QEMU did not answer within {PATIENCE} seconds") from None
        except ConnectionError:
            data = b""
        if not data:
            raise GdbError(ENDED)
        self.received += data

    def register_layout(self, document: str) -> list[tuple[str, int]]:
        """Name and size of the registers in the order of a `g` answer. QEMU describes it in XML, but not in XML that
        a parser would take."""
        text = re.sub(r"<!--.*?-->", "", self.read_document(document), flags=re.DOTALL)
        layout = []
        for tag in re.findall(r"<(?:xi:include|reg) [^>]*>", text):
            words = dict(re.findall(r'(\w+)="([^"]*)"', tag))
            layout += (self.register_layout(words["href"]) if "href" in words
                       else [(words["name"], int(words["bitsize"]) // 8)])
        return layout

    def read_document(self, name: str) -> str:
        text = ""
        while True:
            part = self.request(f"qXfer:features:read:{name}:{len(text):x},1000")
            text += part[1:]
            if not part.startswith("m"):        # an l marks the last part
                return text

    def thread_names(self) -> list[str]:
        """Each CPU is a thread of GDB's."""
        names, answer = [], self.request("qfThreadInfo")
        while answer.startswith("m"):
            names += answer[1:].split(",")
            answer = self.request("qsThreadInfo")
        return names

    def registers(self) -> dict[str, int]:
        data = bytes.fromhex(self.request("g"))
        registers = {}
        for name, size in self.layout:
            registers[NAMES.get(name, name)] = int.from_bytes(data[:size], "little")
            data = data[size:]
        return with_pc(registers)

    def read(self, address: int, size: int) -> int:
        """A number in memory, at a linear address of the present CPU."""
        answer = self.request(f"m{address:x},{size:x}")
        if answer.startswith("E"):
            raise LookupError(f"there is no memory at {address:#x}")
        return int.from_bytes(bytes.fromhex(answer), "little")

    def write(self, address: int, data: bytes) -> None:
        """Changes memory, at a linear address of the present CPU."""
        if self.request(f"M{address:x},{len(data):x}:{data.hex()}") != "OK":
            raise LookupError(f"there is no memory at {address:#x}")

    def set_register(self, name: str, value: int) -> None:
        """Changes a register of the present CPU, by our name for it."""
        names = [NAMES.get(known, known) for known, _ in self.layout]
        number = names.index(name)
        data = value.to_bytes(self.layout[number][1], "little").hex()
        if self.request(f"P{number:x}={data}") != "OK":
            raise GdbError(f"QEMU does not let {name} be changed")

    def resume(self, how: str) -> None:
        """Lets the machine run, and looks at the CPU that has stopped from then on."""
        self.stopped(self.request(how))

    def stopped(self, answer: str) -> None:
        if not answer.startswith("T"):
            raise GdbError(f"the machine did not stop but answered '{answer}'")
        stopped = re.search(r"thread:([^;]+)", answer)
        if stopped:
            self.choose(self.threads.index(stopped[1]))

    def choose(self, cpu: int) -> None:
        self.cpu = cpu
        self.request(f"Hg{self.threads[cpu]}")

    def step(self) -> None:
        """The CPU executes one instruction, the others stand still. QEMU sometimes comes back before it has begun,
        after an interrupt for example."""
        before = self.registers()       # all of them: an IRET may lead from one place to the same, for another frame
        self.resume(f"vCont;s:{self.threads[self.cpu]}")
        if self.registers() == before:
            self.resume(f"vCont;s:{self.threads[self.cpu]}")

    def run_to(self, address: int) -> None:
        """Runs until a CPU is about to execute the instruction at an address, for the next time if it stands there."""
        self.run("c", address)

    def run_alone_to(self, address: int) -> None:
        """The same, and only the present CPU runs."""
        self.run(f"vCont;c:{self.threads[self.cpu]}", address)

    def run(self, how: str, address: int) -> None:
        if self.registers()["pc"] == address:
            self.step()
        if self.registers()["pc"] != address:
            self.request(f"Z1,{address:x},1")
            self.resume(how)
            self.request(f"z1,{address:x},1")
        seen = self.registers()["pc"]
        if seen != address:
            raise GdbError(f"the machine stopped at {seen:#x} instead of {address:#x}")

    def break_at(self, address: int) -> None:
        """Sets a breakpoint that stays, for go_on(). Steps pass over it."""
        self.request(f"Z1,{address:x},1")

    def remove_breakpoints(self, *addresses: int) -> None:
        for address in addresses:
            self.request(f"z1,{address:x},1")

    def pc(self) -> int:
        """Where the present CPU is, as registers() has it."""
        return self.registers()["pc"]

    def go_on(self) -> None:
        """Runs until one of those breakpoints; not the one at which it stands."""
        self.step()
        self.resume("c")

    def nmi(self) -> None:
        """An NMI, which strikes before the next instruction."""
        self.monitor("nmi")

    def memory(self, address: int, words: int) -> list[int]:
        """Words of 8 bytes; none where there is no memory."""
        answer = self.request(f"m{address:x},{8 * words:x}")
        data = b"" if answer.startswith("E") else bytes.fromhex(answer)
        return [int.from_bytes(data[at:at + 8], "little") for at in range(0, len(data), 8)]

    def monitor(self, command: str) -> str:
        """Gives QEMU's monitor a command, such as nmi; its text comes in packets that begin with an O."""
        text = ""
        answer = self.request(f"qRcmd,{command.encode().hex()}")
        while answer.startswith("O") and answer != "OK":
            text += bytes.fromhex(answer[1:]).decode(errors="replace")
            answer = self.answer()
        return text


def connect(path: str, patience: float) -> socket.socket:
    """The stub's socket, as soon as there is one: QEMU opens it when the kernel has been built."""
    deadline = time.monotonic() + patience
    stub = socket.socket(socket.AF_UNIX)
    stub.settimeout(PATIENCE)
    while True:
        try:
            stub.connect(path)
            return stub
        except OSError as error:
            if time.monotonic() > deadline:
                stub.close()
                raise GdbError(f"nobody waits for a debugger at {path}: {error}") from None
            time.sleep(0.05)
