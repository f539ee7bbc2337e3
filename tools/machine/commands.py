# Short commands of our own for what a debugger shows clumsily or wrongly: where a CPU stands and on whose stack, the
# PCR, the trap frame, GDT and TSS decoded. They work on any debugger that follows walks, so Bochs and GDB share them.
# Used by tools/step and tools/machine/gdb_commands.py.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Callable, Union

from layers import ROOT

from .expression import FLAGS, ExpressionError, View, evaluate
from .owners import IST_VECTORS, Cpu, Owners
from .run import MachineError
from .walk import Debugger, Kernel

WORD = 8
HLT = 0xf4              # the instruction
VECTORS = {
    0: "#DE, divide error (or a frame that the kernel has made up, for a first run)", 1: "#DB, debug", 2: "NMI",
    3: "#BP, breakpoint", 4: "#OF, overflow", 5: "#BR, bound range", 6: "#UD, invalid opcode", 7: "#NM, no FPU",
    8: "#DF, double fault", 10: "#TS, invalid TSS", 11: "#NP, segment not present", 12: "#SS, stack segment",
    13: "#GP, general protection", 14: "#PF, page fault", 16: "#MF, x87 error", 17: "#AC, alignment check",
    18: "#MC, machine check", 19: "#XM, SIMD error", 0x40: "the timer's tick", 0x41: "another CPU wants a switch",
    0x80: "int 0x80, a system call", 256: "a system call by syscall_entry, and no interrupt",
}
FRAME_REGISTERS = "rax rbx rcx rdx rsi rdi rbp r8 r9 r10 r11 r12 r13 r14 r15".split()
FIVE_WORDS = ("ss", "rsp", "rflags", "cs", "rip")       # as they lie in memory, the highest address first
MOST_SLOTS = 32                                         # of a GDT; ours have 8
STEP_LABEL = re.compile(r"(\w+)\.step\d+")
AP_PAGE = 0x8000                                        # where another CPU starts, in a copy of ap_trampoline
# The files of programs that are not the stage's own, by name. Whoever boots the machine knows them.
PROGRAM_FILES: dict[str, Path] = {}
NO_PCR = "Stages 00 and 01 have no PCR: there is one CPU, and its state lies in global variables. Stage 02 brings it."


class Refused(Exception):
    """The command cannot do what was asked; the message says why."""


@dataclass(frozen=True)
class Hidden:
    """What of a CPU no walk asks for: where its tables lie, and how wide its code is (16, 32 or 64 bits)."""

    gdt: int
    gdt_limit: int
    tr: int
    tss: int
    tss_limit: int
    bits: int


def hidden_in_bochs(debugger) -> Hidden:
    names = ("GDTR.base", "GDTR.limit", "TR.selector", "TR.base", "TR.limit_scaled", "CS.l", "CS.d_b")
    answer = "".join(debugger.command(";".join(f'show "cpu{debugger.cpu}.{name}"' for name in names)))
    values = re.findall(r" = (0x[0-9a-f]+|true|false)$", answer, re.MULTILINE)
    gdt, gdt_limit, tr, tss, tss_limit, is_64, is_32 = (
        int(value, 16) if value.startswith("0x") else int(value == "true") for value in values)
    return Hidden(gdt, gdt_limit, tr, tss, tss_limit, 64 if is_64 else 32 if is_32 else 16)


def hidden_in_qemu(debugger) -> Hidden:
    """By QEMU's monitor, which knows more than its gdbstub says."""
    text = debugger.monitor("info registers -a").split(f"CPU#{debugger.cpu}", 1)[-1].split("CPU#")[0]
    table = re.search(r"^GDT=\s*(\w+) (\w+)", text, re.MULTILINE)
    task = re.search(r"^TR =(\w+) (\w+) (\w+)", text, re.MULTILINE)
    code = re.search(r"^CS =.*\bCS(16|32|64)\b", text, re.MULTILINE)
    numbers = [int(word, 16) for found in (table, task) for word in found.groups()]
    return Hidden(*numbers, int(code[1]) if code else 16)


HIDDEN = {"bochs": hidden_in_bochs, "qemu": hidden_in_qemu}


class Scene:
    """A CPU that stands still, and everything that can be said of it."""

    def __init__(self, kernel: Kernel, debugger: Debugger):
        self.kernel = kernel
        self.debugger = debugger
        self.view: View = kernel.view(debugger)
        self.owners = Owners(kernel, self.view)

    @cached_property
    def hidden(self) -> Hidden:
        return HIDDEN[self.debugger.emulator](self.debugger)

    @cached_property
    def cpu(self) -> Union[Cpu, None]:
        """The kernel's name for this CPU. Its TSS says it: neither base of GS can be relied on, the emulator's number
        may be another one, and behind LTR nothing changes TR."""
        if not self.owners.cpus or not self.owners.cpus[0].pcr:
            return next(iter(self.owners.cpus), None)
        return next((cpu for cpu in self.owners.cpus if self.owners.tss(cpu) == self.hidden.tss), None)

    @property
    def ring(self) -> int:
        return self.view.named("cpl")

    def symbol(self, address: int) -> str:
        """'syscall_entry.step2', or with a distance; nothing if it is not the kernel's code."""
        if not self.kernel.has_code_at(address):
            return ""
        return self.kernel.symbols.describe(address, address).split()[0].replace("+0x0", "")

    def task(self) -> int:
        return self.owners.current(self.cpu) if self.cpu else 0

    def program_line(self, address: int) -> tuple[str, str]:
        """Function and source line of an address of the current program, if it is one of ours."""
        words = self.owners.task_text(self.task()).split() if self.task() else []
        name = words[0] if words else ""
        program = PROGRAM_FILES.get(name, self.kernel.symbols.elf.parent / "user" / name) if name else None
        if not program or not program.is_file() or not self.kernel.symbols.tool:
            return "", ""
        command = [self.kernel.symbols.tool, "-f", "-e", str(program), hex(address)]
        output = subprocess.run(command, stdout=subprocess.PIPE, text=True).stdout
        function, _, line = output.partition("\n")
        path, _, number = line.split(" (")[0].strip().rpartition(":")
        resolved = (ROOT / path).resolve()
        known = path not in ("", "??") and resolved.is_relative_to(ROOT)
        return function.replace("??", ""), f"{resolved.relative_to(ROOT)}:{number}" if known else ""

    def place(self, address: int, ring: int) -> tuple[str, str]:
        """Name and source line of an address of code."""
        if self.kernel.has_code_at(address):
            return self.symbol(address), self.kernel.symbols.source_line(address)
        start, end = (self.kernel.addresses.get(name, 0) for name in ("ap_trampoline", "ap_trampoline_end"))
        if 0 <= address - AP_PAGE < end - start and ring == 0:
            return f"the copy of ap_trampoline+{address - AP_PAGE:#x}", ""
        function, line = self.program_line(address) if ring == 3 else ("", "")
        owner = "the program" if ring == 3 else "not in the kernel"
        return (f"{function} of the program" if function else owner), line


def source_text(line: str) -> str:
    """The text of 'stages/NN-name/kernel/file.c:12'."""
    path, _, number = line.rpartition(":")
    try:
        return (ROOT / path).read_text().splitlines()[int(number) - 1].strip()
    except (OSError, ValueError, IndexError):
        return ""


def one_space(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def flags_of(rflags: int) -> str:
    names = [name for name, bit in FLAGS.items() if rflags >> bit & 1]
    iopl = rflags >> 12 & 3
    return " ".join(names + ([f"IOPL={iopl}"] if iopl else [])) or "no flag set"


def row(name: str, value: object, words: str = "") -> str:
    shown = f"{value:#x}" if isinstance(value, int) and value > 9 else value
    return f"  {name:<17} {shown:<20} {words}".rstrip()


# The commands. Each gets the scene and its words, and gives a text.

def here(scene: Scene, words: str) -> str:
    """Where this CPU is: ring, symbol, source line, stack, flags, both GS bases."""
    registers = scene.view.registers
    name, line = scene.place(registers["pc"], scene.ring)
    mode = {16: "16-bit code", 32: "32-bit code", 64: "64-bit mode"}[scene.hidden.bits]
    mode = mode if registers["cr0"] & 1 else "real mode"
    number = f"CPU {scene.debugger.cpu}"
    if scene.cpu and scene.cpu.number != scene.debugger.cpu:
        number += f" of the emulator, CPU {scene.cpu.number} of the kernel"
    lines = [f"{number}, ring {scene.ring}, {mode}", row("RIP", registers["pc"], " ".join(filter(None, [name, line])))]
    if line and source_text(line):
        lines.append(row("", "", one_space(source_text(line))))
    flags = "  ".join(f"{flag}={scene.view.named(flag)}" for flag in ("IF", "DF", "AC"))
    lines += [row("RSP", registers["rsp"], scene.owners.stack_name(registers["rsp"], scene.cpu)),
              row("RFLAGS", registers["rflags"], flags)]
    return "\n".join(lines + base_rows(scene)[:2])


def base_rows(scene: Scene) -> list[str]:
    """GS base, KERNEL_GS_BASE, FS base."""
    registers = scene.view.registers
    named = (("GS base", "gs_base"), ("KERNEL_GS_BASE", "kernel_gs_base"), ("FS base", "fs_base"))
    return [row(label, registers[name], base_words(scene, registers[name])) for label, name in named]


def base_words(scene: Scene, base: int) -> str:
    if "boot_pcr" not in scene.kernel.addresses:
        return "not used before stage 02"
    return scene.owners.base_owner(base)


def bases(scene: Scene, words: str) -> str:
    """GS base, KERNEL_GS_BASE and FS base, each with its owner."""
    return "\n".join(base_rows(scene))


def pcr(scene: Scene, words: str) -> str:
    """The PCR of this CPU decoded, or with a number that of CPU N."""
    if "boot_pcr" not in scene.kernel.addresses:
        return NO_PCR
    cpu, way = named_pcr(scene, words) if words else this_pcr(scene)
    return "\n".join([f"PCR of CPU {cpu.number} at {cpu.pcr:#x}{way}", *pcr_rows(scene, cpu)])


def named_pcr(scene: Scene, words: str) -> tuple[Cpu, str]:
    found = [cpu for cpu in scene.owners.cpus if str(cpu.number) == words]
    if not found:
        numbers = ", ".join(str(cpu.number) for cpu in scene.owners.cpus)
        raise Refused(f"There is no PCR of CPU '{words}'. " + (f"There are those of {numbers}." if numbers else
                      "The kernel's memory cannot be read from here."))
    return found[0], ""


def this_pcr(scene: Scene) -> tuple[Cpu, str]:
    registers = scene.view.registers
    for label, name in (("GS base", "gs_base"), ("KERNEL_GS_BASE", "kernel_gs_base")):
        for cpu in scene.owners.cpus:
            if cpu.pcr == registers[name]:
                return cpu, f", where {label} points"
    if scene.cpu:
        return scene.cpu, "; neither base of GS points there, but TR still shows which it is"
    raise Refused("Neither GS base nor KERNEL_GS_BASE points at a PCR, and TR at none: this CPU has not got its own "
                  "yet. pcr 0 shows that of CPU 0.")


def pcr_rows(scene: Scene, cpu: Cpu) -> list[str]:
    """The first members one by one, GDT and TSS in a line each, then what C keeps, with what it means."""
    values = {name: scene.owners.member("pcr", cpu.pcr, name) for name in scene.kernel.structures.members("pcr")}
    rsp0 = values["tss.rsp0"]
    stacks = " ".join(str(number) for number in IST_VECTORS if values[f"tss.ist[{number - 1}]"])
    rows = [row("self", values["self"], "itself" if values["self"] == cpu.pcr else "NOT ITSELF: it is not set up"),
            row("user_rsp", values["user_rsp"], "the program's RSP while syscall_entry has no stack"),
            row("gdt", f"{sum(name.startswith('gdt[') for name in values)} slots", "gdt shows them"),
            row("tss.rsp0", rsp0, stack_words(scene, rsp0)),
            row("tss.ist", stacks or "none", "tss shows them"), "  what C keeps:"]
    state = [name for name in values if not name.startswith(("self", "user_rsp", "gdt[", "padding", "tss."))]
    return rows + [row(name, values[name], state_words(scene, name, values[name])) for name in state]


def state_words(scene: Scene, name: str, value: int) -> str:
    if name in ("current", "idle", "dead", "queue.first", "queue.last", "sleepers"):
        stale = name == "queue.last" and value not in scene.owners.tasks    # the queue is empty
        return "" if stale or not value else scene.owners.task_name(value)
    if name == "next":
        return scene.owners.pcr_name(value) or "the last"
    return ""


def stack_words(scene: Scene, top: int) -> str:
    return scene.owners.stack_name(top) if top else "none"


def trapframe(scene: Scene, words: str) -> str:
    """The trap frame at RSP, or at an address (an expression of walks), decoded."""
    address = evaluate(words.replace("$", ""), scene.view) if words else scene.view.registers["rsp"]
    if not isinstance(address, int) or isinstance(address, bool):
        raise Refused(f"{words} is no address")
    try:
        size = scene.kernel.structures.size("trap_frame")
    except LookupError:
        return "Stage 00 has no trap frame: it handles no interrupts. Stage 01 brings it."
    start = size - len(FIVE_WORDS) * WORD
    if looks_like_five(scene, address + start):
        return whole_frame(scene, address)
    for offset in (0, WORD, 2 * WORD):
        if not words and looks_like_five(scene, address + offset):
            lines = [f"There is no whole frame at RSP yet, or no longer; at RSP + {offset} are the CPU's five words:"]
            return "\n".join(lines + five_words(scene, address + offset))
    lines = [f"There is no trap frame at {address:#x}: behind its registers, at {address + start:#x}, should be RIP, "
             "CS, RFLAGS, RSP and SS.", "trapframe ADDRESS takes another address, such as rdi or rsp + 8."]
    return "\n".join(lines)


def word_at(scene: Scene, address: int) -> int:
    return scene.view.read(address, WORD)


def looks_like_five(scene: Scene, address: int) -> bool:
    """Selectors that the kernel uses, and flags that can be."""
    try:
        cs, rflags, ss = (word_at(scene, address + offset * WORD) for offset in (1, 2, 4))
    except LookupError:
        return False
    return cs in (0x08, 0x2b) and ss in (0, 0x10, 0x23) and rflags & 2 == 2 and rflags >> 22 == 0


def five_words(scene: Scene, address: int) -> list[str]:
    """What the CPU pushes at an interrupt and IRETQ takes back, drawn as it lies in memory."""
    border = "    +--------+--------------------+"
    values = {name: word_at(scene, address + (4 - place) * WORD) for place, name in enumerate(FIVE_WORDS)}
    lines = [f"{border}  {address + len(FIVE_WORDS) * WORD:#x}{behind_words(scene, address + len(FIVE_WORDS) * WORD)}"]
    for name in FIVE_WORDS:
        lines.append(f"    | {name:<6} | {values[name]:#18x} |  {five_word(scene, name, values)}".rstrip())
    return [*lines, f"{border}  {address:#x}"]


def behind_words(scene: Scene, top: int) -> str:
    """Where the stack above the five words begins, if they are the first on it."""
    if not scene.cpu:
        return ""
    tss = scene.owners.tss(scene.cpu)
    names = ["rsp0", *(f"ist[{number - 1}]" for number in IST_VECTORS)]
    found = [name for name in names if scene.owners.member("tss", tss, name) == top]
    return f", which is tss.{found[0]}" if found else ""


def five_word(scene: Scene, name: str, values: dict[str, int]) -> str:
    value, ring = values[name], values["cs"] & 3
    if name == "rsp":
        return scene.owners.stack_name(value)
    if name == "rflags":
        return flags_of(value)
    if name == "rip":
        return " ".join(filter(None, scene.place(value, ring)))
    return f"ring {ring}" if name == "cs" else "null, as from ring 0" if value == 0 else ""


def whole_frame(scene: Scene, address: int) -> str:
    names = scene.kernel.structures.members("trap_frame")
    values = {name: scene.owners.member("trap_frame", address, name) for name in names}
    vector = values["vector"]
    cells = [f"{name:<3} {values[name]:#x}" for name in FRAME_REGISTERS]
    width = max(map(len, cells)) + 3
    rows = ["    " + "".join(f"{cell:<{width}}" for cell in cells[start:start + 3]).rstrip()
            for start in range(0, len(cells), 3)]
    five = scene.kernel.structures.member("trap_frame", "rip")[0]
    return "\n".join([f"trap frame at {address:#x} ({scene.owners.stack_name(address, scene.cpu)})",
                      f"  vector {vector:#x}: {VECTORS.get(vector, 'an interrupt')}; error code {values['error']:#x}",
                      *five_words(scene, address + five), *rows])


def gdt(scene: Scene, words: str) -> str:
    """The GDT of this CPU decoded; the TSS descriptor with its whole base."""
    if not scene.view.registers["cr0"] & 1:
        return "In real mode there is no GDT in use: a segment register says where its segment is by itself."
    table, count = scene.hidden.gdt, min((scene.hidden.gdt_limit + 1) // WORD, MOST_SLOTS)
    owner = next((scene.owners.pcr_name(cpu.pcr) for cpu in scene.owners.cpus
                  if cpu.pcr and cpu.pcr < table < cpu.pcr + 0x1000), "")
    name = scene.kernel.names.get(table, "")
    lines = [f"GDT of CPU {scene.debugger.cpu} at {table:#x}, {count} slots" + (f", in the {owner}" if owner else "")
             + (f", {name}" if name else "")]
    try:
        word_at(scene, table)
    except LookupError:
        return f"{lines[0]}\n  No memory is mapped there any more: no harm, until a segment register is loaded."
    upper = False           # this slot is the second half of the one before
    for slot in range(count):
        raw = word_at(scene, table + slot * WORD)
        if upper:
            lines.append(slot_row(slot, raw, "the upper half of that base"))
            upper = False
        else:
            text, upper = descriptor(scene, raw, table + slot * WORD, slot)
            lines.append(slot_row(slot, raw, text + loaded(scene, slot)))
    return "\n".join(lines)


def slot_row(slot: int, raw: int, text: str) -> str:
    return f"  {slot * WORD:#04x}  {raw:016x}  {text}"


def loaded(scene: Scene, slot: int) -> str:
    """Which registers hold the selector."""
    selectors = {"CS": scene.view.registers["cs"], "SS": scene.view.registers["ss"], "TR": scene.hidden.tr}
    held = [name for name, selector in selectors.items() if selector >> 3 == slot and slot]
    return f"   <- {', '.join(held)}" if held else ""


def descriptor(scene: Scene, raw: int, address: int, slot: int) -> tuple[str, bool]:
    """What a descriptor says, and whether it takes two slots."""
    if not raw or slot == 0:
        return ("null" if slot == 0 else "empty"), False
    ring, present = raw >> 45 & 3, "" if raw >> 47 & 1 else ", not present"
    if not raw >> 44 & 1:
        return system_descriptor(scene, raw, address)
    if raw >> 43 & 1:
        kind = "code, " + ("64-bit" if raw >> 53 & 1 else "32-bit" if raw >> 54 & 1 else "16-bit")
    else:
        kind = "data, " + ("writable" if raw >> 41 & 1 else "read-only")
    selector = f", its selector is {slot * WORD + ring:#x}" if ring else ""
    return f"{kind}, DPL {ring}{selector}{present}", False


def system_descriptor(scene: Scene, raw: int, address: int) -> tuple[str, bool]:
    """A TSS takes 16 bytes in long mode, or it could only lie below 4 GiB."""
    kind, ring = raw >> 40 & 15, raw >> 45 & 3
    if kind not in (9, 11):
        return f"a system descriptor of type {kind}, DPL {ring}", False
    long_mode = bool(scene.view.registers["cr4"] >> 5 & 1)      # PAE; the kernel has it in long mode only
    base = (raw >> 16 & 0xffffff) | (raw >> 56 & 0xff) << 24
    base |= word_at(scene, address + WORD) << 32 if long_mode else 0
    limit = (raw & 0xffff) | (raw >> 32 & 0xf0000)
    state = "busy" if kind == 11 else "available"
    return (f"TSS, {64 if long_mode else 32}-bit, {state}, DPL {ring}, base {base:#x}{tss_words(scene, base)}, "
            f"limit {limit:#x}"), long_mode


def tss_words(scene: Scene, base: int) -> str:
    found = [cpu for cpu in scene.owners.cpus if scene.owners.tss(cpu) == base]
    if not found:
        return ""
    return f" (tss in the PCR of CPU {found[0].number})" if found[0].pcr else " (cpu_tss)"


def tss(scene: Scene, words: str) -> str:
    """The TSS that TR shows, decoded: the stacks that the CPU takes."""
    base, hidden = scene.hidden.tss, scene.hidden
    try:
        scene.kernel.structures.size("tss")
    except LookupError:
        return "Stage 00 has no TSS: it handles no interrupts, and knows no ring 3. Stage 01 brings it."
    if hidden.tr & ~7 == 0:
        return "TR holds no selector: this CPU has not executed LTR yet."
    values = {name: scene.owners.member("tss", base, name) for name in scene.kernel.structures.members("tss")}
    rsp0 = values["rsp0"]
    lines = [f"TSS of CPU {scene.debugger.cpu} at {base:#x}{tss_words(scene, base)}, TR {hidden.tr:#x}, "
             f"limit {hidden.tss_limit:#x}",
             row("rsp0", rsp0, stack_words(scene, rsp0) + ", for what comes from ring 3" * bool(rsp0))]
    for number in range(1, 8):
        value = values[f"ist[{number - 1}]"]
        if value or number in IST_VECTORS:
            lines.append(row(f"ist[{number - 1}]", value, stack_words(scene, value)))
    iomap = values["iomap_base"]
    what = "beyond the limit: no port for ring 3" if iomap > hidden.tss_limit else "THE BITMAP LIES WITHIN THE LIMIT"
    return "\n".join([*lines, row("iomap_base", iomap, what)])


def choose_cpu(scene: Scene, words: str) -> str:
    """Looks at CPU N from now on."""
    if not re.fullmatch(r"\d+", words) or int(words) >= scene.debugger.cpus:
        last = scene.debugger.cpus - 1
        raise Refused(f"cpu wants a number from 0 to {last}." if last else "There is only CPU 0.")
    scene.debugger.choose(int(words))
    return here(Scene(scene.kernel, scene.debugger), "")


def label(scene: Scene, words: str) -> str:
    """Runs this CPU alone on to the next label: in its routine, or where one with labels begins."""
    pc = scene.view.registers["pc"]
    if scene.ring == 0 and not scene.kernel.has_code_at(pc):
        raise Refused("This CPU is in ring 0 and not in the kernel: from here no label is known to be reached.")
    if scene.ring == 0 and scene.view.read(pc - 1, 1) == HLT:
        raise Refused("This CPU halts until an interrupt comes, and none does while it runs alone. c lets all run.")
    targets = next_labels(scene.kernel, scene.view.registers["pc"])
    if not targets:
        raise Refused("The kernel of this stage has no step labels.")
    scene.debugger.run_alone_to_one_of(targets)
    return ""


def next_labels(kernel: Kernel, pc: int) -> list[int]:
    """The step labels behind an address in the routine that it is in, and the beginnings of all routines that have any.
    (All labels would be more than Bochs has breakpoints.)"""
    places = kernel.addresses
    routines = {found[1] for found in map(STEP_LABEL.fullmatch, places) if found}
    below = [name for name in places if places[name] <= pc and STEP_LABEL.sub(r"\1", name) in routines]
    routine = STEP_LABEL.sub(r"\1", max(below, key=places.get)) if below and kernel.has_code_at(pc) else ""
    further = [places[name] for name in places if name.startswith(f"{routine}.step") and places[name] > pc]
    return sorted({*further, *(places[name] for name in routines if places[name] != pc)})


def list_commands(scene: Union[Scene, None], words: str) -> str:
    """Lists these commands."""
    return listing(texts())


def texts() -> dict[str, str]:
    """What each command is for, by what is typed."""
    ours = {f"{name} {SYNOPSES.get(name, '')}".rstrip(): one_space(function.__doc__).rstrip(".")
            for name, function in COMMANDS.items()}
    return {"go": "On to the next point of the walk", **ours}


def listing(lines: dict[str, str]) -> str:
    return "\n".join(f"  {typed:<22} {text}" for typed, text in lines.items())


COMMANDS: dict[str, Callable[[Scene, str], str]] = {
    "here": here, "bases": bases, "pcr": pcr, "trapframe": trapframe, "gdt": gdt, "tss": tss, "label": label,
    "cpu": choose_cpu, "commands": list_commands,
}
SYNOPSES = {"pcr": "[N]", "trapframe": "[ADDRESS]", "cpu": "N"}


def execute(line: str, kernel: Kernel, debugger: Debugger) -> Union[str, None]:
    """Does a line that is one of our commands, and gives what there is to show; None if it is not one."""
    name, _, words = line.strip().partition(" ")
    if name not in COMMANDS:
        return None
    if COMMANDS[name] is list_commands:
        return list_commands(None, "")
    try:
        return COMMANDS[name](Scene(kernel, debugger), words.strip())
    except Refused as refusal:
        return str(refusal)
    except (LookupError, ExpressionError) as error:
        return f"{name}: {error}"
    except MachineError as error:
        if type(error).__name__ == "Ended":         # the debugger itself has gone; whoever drives it wants to know
            raise
        return f"{name}: {error}"
