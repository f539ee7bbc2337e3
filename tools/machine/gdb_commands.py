# GDB's side of `make gdb`: runs within GDB, by GDB's own Python. It connects to the QEMU that tools/gdb has started,
# goes to the walk's first point, shows above each prompt where one is and what the kernel has printed, and adds our
# commands (tools/machine/commands.py).
# SPDX-License-Identifier: MIT
from __future__ import annotations

import gdb      # there is such a module within GDB only

try:
    import json
    import os
    import re
    import select
    import shlex
    import shutil
    import signal
    import subprocess
    import sys
    import textwrap
    import threading
    import time
    from contextlib import contextmanager, redirect_stdout
    from dataclasses import replace
    from pathlib import Path
    from typing import Iterator, Union

    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from machine import commands, qemu
    from machine.expression import FLAGS, ExpressionError, Place, View, location, parse
    from machine.guide import LETTERS, Dialect, paragraph, point_text, where
    from machine.prepare import boot
    from machine.run import MachineError, Request, with_pc
    from machine.walk import Kernel, Point, Walk, WalkError, arrived, come_to, load_walk
except KeyboardInterrupt:
    gdb.execute("quit 130")
except ImportError as error:
    gdb.write(f"tools/gdb: GDB's Python has no {error.name}: it is not the distribution's\n", gdb.STDERR)
    gdb.execute("quit 2")
try:
    from gdb.disassembler import Disassembler, DisassemblerResult, register_disassembler
except ImportError:     # before GDB 13; 32-bit code is then shown as if it were 64-bit code
    Disassembler, register_disassembler = object, None

PATIENCE = 15                   # seconds until QEMU's gdbstub must have answered
PAUSE = 0.05                    # seconds between two looks at COM1 while the machine runs
START = "kernel_main"           # where a stage stops without a walk
THE_END = "machine_exit"        # the kernel's last function; behind it QEMU ends
GENERAL = "rax rbx rcx rdx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip".split()
OTHERS = "cs ss ds es fs gs fs_base gs_base cr0 cr2 cr3 cr4 efer".split()
REGISTERS = {**{name: name for name in (*GENERAL, *OTHERS)}, "eflags": "rflags", "k_gs_base": "kernel_gs_base"}
OWN_NAMES = {ours: theirs for theirs, ours in REGISTERS.items()}
# By default QEMU takes no interrupt at a single step. That is what a person wants who types stepi; but an NMI of a walk
# must strike, even if GDB first steps over a breakpoint.
STEP_QUIETLY, STEP_AS_USUAL = "Qqemu.sstep=0x7", "Qqemu.sstep=0x1"
SETTINGS = ("pagination off", "confirm off", "disassembly-flavor intel", "print inferior-events off", "width 0",
            "print thread-events off")
WITHOUT_A_WALK = """\
This is the first function of the kernel in C, and no walk leads on from here, so look around. All of GDB's commands are
there, and these of ours:"""
GONE = "The machine has ended. q quits."


def say(text: str) -> None:
    gdb.write(text + "\n")
    gdb.flush()


def quietly(command: str) -> None:
    """Without the line that GDB prints where the machine stops. A GDB that does not know the setting prints it."""
    try:
        gdb.execute("set suppress-cli-notifications on")
    except gdb.error:
        gdb.execute(command, to_string=True)
        return
    try:
        gdb.execute(command, to_string=True)
    finally:
        gdb.execute("set suppress-cli-notifications off")


class Elsewhere(MachineError):
    """The machine stopped somewhere else: at a breakpoint of the person's, or by Ctrl-C."""


class GdbDebugger:
    """The machine as GDB sees it, in the form that walks and our commands want."""

    emulator = "qemu"

    def __init__(self):
        self.cpus = len(gdb.selected_inferior().threads())

    @property
    def cpu(self) -> int:
        """Each CPU is a thread of GDB's; QEMU counts them from 1."""
        thread = gdb.selected_thread()
        if not thread:
            raise MachineError(GONE)
        return thread.ptid[1] - 1

    def choose(self, cpu: int) -> None:
        for thread in gdb.selected_inferior().threads():
            if thread.ptid[1] - 1 == cpu:
                thread.switch()

    def registers(self) -> dict[str, int]:
        frame = gdb.newest_frame()
        return with_pc({ours: int(frame.read_register(theirs).format_string(format="x"), 16)
                        for theirs, ours in REGISTERS.items()})

    def read(self, address: int, size: int) -> int:
        try:
            return int.from_bytes(gdb.selected_inferior().read_memory(address, size).tobytes(), "little")
        except gdb.MemoryError:
            raise LookupError(f"there is no memory at {address:#x}") from None

    def monitor(self, command: str) -> str:
        return gdb.execute(f"monitor {command}", to_string=True)

    def nmi(self) -> None:
        self.monitor("nmi")

    def step(self) -> None:
        """This CPU executes one instruction. QEMU sometimes comes back before it has begun."""
        before = self.registers()["pc"]
        for _ in range(2):
            if self.registers()["pc"] == before:
                quietly("stepi")

    def run_to(self, address: int) -> None:
        self.run((address,), alone=False)

    def run_alone_to(self, address: int) -> None:
        self.run((address,), alone=True)

    def run_alone_to_one_of(self, addresses: list[int]) -> None:
        self.run(tuple(addresses), alone=self.cpus > 1)

    def run(self, addresses: tuple[int, ...], alone: bool) -> None:
        """Runs until a CPU is about to execute one of the instructions, for the next time if it stands there."""
        try:
            with stepping_as_usual():
                if self.registers()["pc"] in addresses:
                    self.step()
                if self.registers()["pc"] not in addresses:
                    with breaking_at(addresses), locking("on" if alone else "step"):
                        self.go_on()
        except gdb.error:
            if gdb.selected_thread():
                raise
        if not gdb.selected_thread():
            raise MachineError(GONE)
        seen = self.registers()["pc"]
        if seen not in addresses:
            raise Elsewhere(f"the machine stopped at {seen:#x}")


    def go_on(self) -> None:
        """From a breakpoint GDB makes one step before it lets the machine run. If QEMU came back before that had begun,
        the machine stops where it is; then once more."""
        before = self.registers()
        gdb.execute("continue", to_string=True)
        if gdb.selected_thread() and self.registers() == before:
            gdb.execute("continue", to_string=True)


@contextmanager
def stepping_as_usual() -> Iterator[None]:
    gdb.execute(f"maintenance packet {STEP_AS_USUAL}", to_string=True)
    try:
        yield
    finally:
        if gdb.selected_thread():
            gdb.execute(f"maintenance packet {STEP_QUIETLY}", to_string=True)


@contextmanager
def locking(mode: str) -> Iterator[None]:
    gdb.execute(f"set scheduler-locking {mode}")
    try:
        yield
    finally:
        if gdb.selected_thread():
            gdb.execute("set scheduler-locking step")


def hidden_breakpoint(address: int) -> gdb.Breakpoint:
    point = gdb.Breakpoint(f"*{address:#x}", type=gdb.BP_HARDWARE_BREAKPOINT, internal=True)
    point.silent = True     # what there is to say of the place is ours to say
    return point


@contextmanager
def breaking_at(addresses: tuple[int, ...]) -> Iterator[None]:
    """With breakpoints of ours, which the person does not see. Of the CPU's own kind: the boot loader overwrites those
    that are written into memory."""
    points = [hidden_breakpoint(address) for address in addresses]
    try:
        yield
    finally:
        for point in points:
            point.delete()


class Com1:
    """What the kernel prints: shown as it comes while the machine runs, and above the prompt when it has stopped. QEMU
    writes it to a pipe of which this is the other end, so that nothing is on its way any more when it stands still."""

    def __init__(self, pipe: int, elf: Path):
        self.pipe = pipe
        os.set_blocking(pipe, False)
        self.console = boot.Console(elf)
        self.screen = os.fdopen(os.dup(1), "w")
        self.lock = threading.Lock()
        self.running = threading.Event()
        self.cut = False                # a line of the kernel's stands unfinished above
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())     # signals are GDB's own affair
        threading.Thread(target=self.watch, daemon=True).start()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def watch(self) -> None:
        while True:
            self.running.wait()
            select.select([self.pipe], [], [], PAUSE)
            with self.lock:
                if self.running.is_set() and not self.show():
                    return

    def begin(self, _event=None) -> None:
        self.running.set()

    def stop(self) -> None:
        """The machine stands still: shows what is left, and goes to a line of its own."""
        self.running.clear()
        with self.lock:
            gdb.flush()
            self.show()
            if self.console.line and not self.cut:
                self.screen.write("...\n")
                self.screen.flush()
                self.cut = True

    def show(self) -> bool:
        """False when there will be no more."""
        data = b""
        try:
            while piece := os.read(self.pipe, 65536):
                data += piece
            ended = True
        except BlockingIOError:
            ended = False
        if data:
            with redirect_stdout(self.screen):
                self.screen.write("..." if self.cut else "")
                self.screen.flush()
                self.console.feed(data)
            self.cut = False
        return not ended


class Programs:
    """The programs whose symbols GDB can have: of one at a time, because all are linked at the same addresses."""

    def __init__(self, files: dict[str, str]):
        self.files = files
        self.loaded = ""

    def load(self, name: str) -> None:
        if name == self.loaded or name not in self.files:
            return
        if self.loaded:
            gdb.execute(f"remove-symbol-file {shlex.quote(self.files[self.loaded])}", to_string=True)
        self.loaded = ""
        gdb.execute(f"add-symbol-file {shlex.quote(self.files[name])}", to_string=True)
        self.loaded = name


class OldCode(Disassembler):
    """GDB takes all code of this machine for 64-bit code. What a CPU executes in another mode lies below 4 GiB; objdump
    shows it as it is meant."""

    def __init__(self, session: "Session"):
        super().__init__("ringstep")
        self.session = session

    def __call__(self, info):
        if info.address >> 32 or self.session.bits() == 64 or not shutil.which("objdump"):
            return None         # LLVM's disassembles no plain bytes
        file = self.session.folder / "code"
        file.write_bytes(info.read_memory(16).tobytes())
        machine = {16: "i8086", 32: "i386"}[self.session.bits()]
        command = ["objdump", "-D", "-b", "binary", "-m", machine, "-M", "intel", "--no-show-raw-insn",
                   f"--adjust-vma={info.address:#x}", str(file)]
        listing = subprocess.run(command, stdout=subprocess.PIPE, text=True).stdout
        found = re.findall(r"^\s*([0-9a-f]+):\t(.*)$", listing, re.MULTILINE)
        return DisassemblerResult(int(found[1][0], 16) - info.address, self.with_name(found[0][1].strip()))

    def with_name(self, text: str) -> str:
        target = re.fullmatch(r"(?:j\w+|call|loop\w*)\s+0x([0-9a-f]+)", text)
        name = self.session.kernel.names.get(int(target[1], 16)) if target else None
        return f"{text} <{name}>" if name else text


class Session:
    """A person before GDB, and the walk."""

    def __init__(self, plan: dict):
        self.plan = plan
        self.folder = Path(plan["folder"])
        self.kernel = Kernel(Path(plan["elf"]))
        self.walk = choose_walk(plan)
        self.programs = Programs(plan["programs"])
        commands.PROGRAM_FILES.update({name: Path(file) for name, file in plan["programs"].items()})
        self.com1 = Com1(plan["console"], self.kernel.symbols.elf)
        self.debugger: Union[GdbDebugger, None] = None
        self.number = 0                         # the point at which the machine shall stop next,
        self.address = 0                        # where it is,
        self.last: Union[View, None] = None     # and what was to be seen at the one before
        self.moved = False                      # since the place was last told
        self.ended = False                      # and has been said to
        self.known_bits = 0

    def start(self) -> None:
        for setting in SETTINGS:
            gdb.execute(f"set {setting}")
        gdb.execute(f"file {shlex.quote(str(self.kernel.symbols.elf))}", to_string=True)
        gdb.events.cont.connect(self.com1.begin)
        gdb.events.stop.connect(self.on_stop)
        gdb.events.gdb_exiting.connect(end_the_machine)
        connect(self.plan["socket"])
        gdb.execute("set scheduler-locking step")       # stepi and next move one CPU, as in Bochs
        self.debugger = GdbDebugger()
        if register_disassembler:
            register_disassembler(OldCode(self))
        self.programs.load(next(iter(self.plan["first"]), ""))
        first = self.walk.points[0] if self.walk else Point(START, "")
        self.address = self.kernel.address_of(first, None)
        come_to(first, None, self.kernel, self.debugger)
        hidden_breakpoint(self.kernel.addresses[THE_END])
        gdb.events.before_prompt.connect(self.before_prompt)

    def on_stop(self, _event) -> None:
        self.moved, self.known_bits = True, 0

    def bits(self) -> int:
        """How wide the code of the present CPU is."""
        if not self.known_bits:
            self.known_bits = commands.hidden_in_qemu(self.debugger).bits
        return self.known_bits

    def before_prompt(self) -> None:
        """Shows what the kernel has printed, and where the machine stands if it has moved."""
        self.com1.stop()
        if not gdb.selected_thread():
            if not self.ended:
                say("\n".join(filter(None, [why_it_ended(self.folder), GONE])))
            self.ended = True
        elif self.moved:
            self.moved = False
            try:
                self.show_place()
            except (gdb.error, MachineError, WalkError, LookupError, ExpressionError) as error:
                say(f"=== {error}")

    def show_place(self) -> None:
        view = self.kernel.view(self.debugger)
        place = where(self.kernel, view)
        if view.named("cpl") == 3:
            self.programs.load(self.running_program())
            name, line = commands.Scene(self.kernel, self.debugger).place(view.registers["pc"], 3)
            place = f"{view.registers['pc']:#x}, {' '.join(filter(None, [name, line]))}, ring 3"
        place += (f", CPU {self.debugger.cpu}" if self.debugger.cpus > 1 else "")
        if self.walk and view.registers["pc"] == self.address:
            point = self.walk.points[self.number]
            if arrived(point, view, self.debugger.cpu):
                say("\n" + point_text(self.walk, self.number, place, self.kernel, view, self.debugger.cpus, GDB) + "\n")
                self.expect_next(view)
                return
        say(f"=== {place}")
        if view.registers["pc"] == self.kernel.addresses[THE_END]:
            say(paragraph("The kernel ends its run here. q quits; c ends the machine."))
        if not self.walk and view.registers["pc"] == self.address:
            say(f"\n{paragraph(WITHOUT_A_WALK)}\n\n{textwrap.indent(list_commands(), '    ')}\n")

    def running_program(self) -> str:
        """The name of the program that this CPU runs, as the kernel knows it."""
        scene = commands.Scene(self.kernel, self.debugger)
        try:
            return (scene.owners.task_text(scene.task()).split() or [""])[0] if scene.task() else ""
        except LookupError:
            return ""

    def expect_next(self, view: View) -> None:
        """From now on the next point is looked for; after the last it is the first again."""
        self.number = (self.number + 1) % len(self.walk.points)
        self.last = view if self.number else None
        self.address = self.kernel.address_of(self.walk.points[self.number], view)

    def go(self) -> None:
        """On to the walk's next point."""
        if not self.walk:
            say("There is no walk, and so no next point. c runs on.")
            return
        point = self.walk.points[self.number]
        if self.last:       # where it is, was found at the point before; memory may have changed since
            point = replace(point, at=f"{self.address:#x}")
        self.moved = True
        try:
            come_to(point, self.last, self.kernel, self.debugger)
        except Elsewhere:       # which is said above the prompt
            pass


def choose_walk(plan: dict) -> Union[Walk, None]:
    return load_walk(Path(plan["walk"])).seen_in("qemu") if plan["walk"] else None


def connect(socket: str) -> None:
    """QEMU makes the socket shortly before it listens."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            quietly(f"target remote {socket}")
            return
        except gdb.error as error:
            if time.monotonic() > deadline:
                raise MachineError(f"QEMU does not answer: {error}") from None
            time.sleep(PAUSE)


def end_the_machine(_event) -> None:
    """Or GDB would say that it leaves it running."""
    try:
        if gdb.selected_thread():
            gdb.execute("kill", to_string=True)
    except gdb.error:       # QEMU ends without an answer
        pass


def why_it_ended(folder: Path) -> str:
    """A triple fault is silent; QEMU's log has it."""
    log = qemu.log_of(Request(iso=folder, folder=folder))
    triple = log.exists() and "Triple fault" in log.read_text(errors="replace")
    return "The machine reset: a triple fault." if triple else ""


# GDB's words for what a walk says.

def value_in_gdb(text: str, view: View) -> str:
    memory = location(parse(text), view)
    if memory:
        return f"x/1{LETTERS[memory[1]]}x {memory[0]:#x}"
    if text in FLAGS:
        return "p $eflags     (a flag that is named is 1)"
    if text == "cpl":
        return "p $cs & 3"
    if text in view.registers and text in OWN_NAMES:
        return f"p/x ${OWN_NAMES[text]}"
    return f"p &{text}" if text in view.symbols and re.fullmatch(r"\w+", text) else ""


def structure_in_gdb(place: Place, kernel: Kernel) -> str:
    return f"p/x *(struct {place.structure} *){place.address:#x}"


GDB = Dialect(
    value_in_gdb, structure_in_gdb, nmi="monitor nmi", alone="set scheduler-locking on",
    together="hbreak and c", on="",
    hints=("stepi   one instruction     x/5i $pc   the next ones     here   where am I     q   quit",
           "hbreak printk   stop there too     c   run     Ctrl-C   stops it     ringstep   lists our commands"))


# Our commands, as GDB's. It has one of the name `commands`, for what is to be done at a breakpoint, so ours are listed
# by `ringstep`.

def list_commands() -> str:
    texts = {typed: text for typed, text in commands.texts().items() if typed != "commands"}
    return commands.listing({**texts, "program NAME": "GDB gets the symbols of that program",
                             "ringstep": "Lists these commands"})


class Ringstep(gdb.Command):
    """Lists the commands that ringstep adds to GDB."""

    def __init__(self):
        super().__init__("ringstep", gdb.COMMAND_USER)

    def invoke(self, argument: str, from_tty: bool) -> None:
        say(list_commands())


class Command(gdb.Command):
    """One of ours."""

    def __init__(self, name: str, text: str, session: Session):
        self.__doc__ = text
        self.name = name
        self.session = session
        super().__init__(name, gdb.COMMAND_USER)

    def invoke(self, argument: str, from_tty: bool) -> None:
        try:
            if gdb.selected_thread():
                self.obey(argument)
            elif self.session.ended:        # and it has been said; below, it will be
                say(GONE)
        except (gdb.error, MachineError, WalkError, LookupError, ExpressionError) as error:
            say(str(error))

    def obey(self, argument: str) -> None:
        answer = commands.execute(f"{self.name} {argument}", self.session.kernel, self.session.debugger)
        if answer:
            say(answer)


class Go(Command):
    """On to the walk's next point."""

    def obey(self, argument: str) -> None:
        self.session.go()


class Program(Command):
    """Gives GDB the symbols of another program."""

    def obey(self, argument: str) -> None:
        known = self.session.programs
        if argument not in known.files:
            say(f"There is no program '{argument}'. There are {', '.join(known.files)}.")
            return
        known.load(argument)


def add_commands(session: Session) -> None:
    for name, function in commands.COMMANDS.items():
        if name != "commands":
            Command(name, function.__doc__, session)
    Go("go", "On to the walk's next point.", session)
    Program("program", "Gives GDB the symbols of program NAME, in place of those of another one. At a stop in ring 3\n"
            "this is done by itself, if the program is one of the stage's.", session)
    Ringstep()


def main() -> None:
    """Ends GDB if the machine cannot be brought to the first point."""
    try:
        session = Session(json.loads(os.environ["RINGSTEP_GDB"]))
        add_commands(session)
        session.start()
    except (KeyboardInterrupt, Elsewhere):
        gdb.execute("quit 130")
    except (gdb.error, MachineError, WalkError, ExpressionError, LookupError, OSError) as error:
        gdb.write(f"tools/gdb: {error}\n", gdb.STDERR)
        gdb.execute("quit 2")


main()
