# Puts words to a recording: names for the values that are addresses, the trap frames that lie on the stacks, and for
# each step a sentence that says what it did.
# Used by tools/machine/recorder.py; what it writes is part of the trace, so that every viewer says the same.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import re
from typing import Any, Iterator, Union

from .expression import FLAGS
from .places import Places

KERNEL_BASE = 0xffffffff80000000
FRAME_AT = {        # where a register holds the address of a trap frame: label, register, what to add
    "syscall_entry.step4": ("rsp", -176), "syscall_entry.step5": ("rsp", 0), "syscall_entry.step6": ("rsp", 0),
    "interrupt_entry.step4": ("rsp", 0), "interrupt_return": ("rsp", 0), "trap_return": ("rdi", 0),
    "paranoid_entry.step4": ("rsp", 0), "paranoid_entry.step5": ("rsp", 0),
}
MODEL_SPECIFIC = {0x1b: "IA32_APIC_BASE", 0xc0000080: "IA32_EFER", 0xc0000081: "IA32_STAR", 0xc0000082: "IA32_LSTAR",
                  0xc0000083: "IA32_CSTAR", 0xc0000084: "IA32_FMASK", 0xc0000100: "IA32_FS_BASE",
                  0xc0000101: "IA32_GS_BASE", 0xc0000102: "IA32_KERNEL_GS_BASE"}
EXCEPTIONS = {0: "#DE", 1: "#DB", 2: "NMI", 3: "#BP", 4: "#OF", 5: "#BR", 6: "#UD", 7: "#NM", 8: "#DF", 10: "#TS",
              11: "#NP", 12: "#SS", 13: "#GP", 14: "#PF", 16: "#MF", 17: "#AC", 18: "#MC", 19: "#XM"}
ARITHMETIC = {"CF", "PF", "AF", "ZF", "SF", "OF"}   # flags that nearly every instruction changes
SELECTORS = ("cs", "ss", "ds", "es", "fs", "gs")
BASES = {"gs_base": "GS base", "kernel_gs_base": "KERNEL_GS_BASE", "fs_base": "FS base"}
# Bits of the control registers that the kernel sets on its way to 64-bit mode.
BITS = {"cr0": {"PE": 0, "WP": 16, "NW": 29, "CD": 30, "PG": 31}, "efer": {"SCE": 0, "LME": 8, "LMA": 10, "NXE": 11},
        "cr4": {"PAE": 5, "MCE": 6, "OSFXSR": 9, "OSXMMEXCPT": 10, "FSGSBASE": 16, "SMEP": 20, "SMAP": 21}}
CONDITIONAL = re.compile(r"j(?!mp)[a-z]+|loop[a-z]*")


class Annotator:
    """One trace, and the state of its CPUs while one goes through it."""

    def __init__(self, trace: dict[str, Any], places: Places):
        self.trace = trace
        self.places = places
        self.registers: dict[int, dict[str, int]] = {}
        self.names: dict[str, str] = {}
        self.frames: list[dict[str, Any]] = []

    # Names of values

    def region_of(self, value: int) -> Union[dict[str, Any], None]:
        """The smallest region that a value lies in. The end of a stack belongs to it: that is where RSP begins."""
        found = [one for one in self.trace["regions"]
                 if int(one["start"], 16) <= value < int(one["end"], 16)
                 or "stack" in one["name"] and value == int(one["end"], 16)]
        return min(found, key=lambda one: int(one["end"], 16) - int(one["start"], 16), default=None)

    def name(self, value: int) -> str:
        """What a value is, if it is the address of something known."""
        region = self.region_of(value)
        if region:
            return self.name_in(region, value)
        if value >= KERNEL_BASE:
            listing = self.places.kernel_listing
            end = max(end for _, end, _, _ in listing.segments)
            return listing.symbol(value) if value < end else ""
        owners = [one for one in self.places.programs if one.holds_code(value)]
        return f"{owners[0].name}: {owners[0].symbol(value)}" if len(owners) == 1 and owners[0].names else ""

    def name_in(self, region: dict[str, Any], value: int) -> str:
        offset = value - int(region["start"], 16)
        if "structure" in region:
            members = self.trace["structures"][region["structure"]]["members"]
            found = [member for member, start, size in members if start <= offset < start + size]
            return f"{region['name']}{': ' + found[0] if found and offset else ''}"
        below = int(region["end"], 16) - value
        return f"{region['name']}, {f'{below:#x} below its top' if below else 'its top'}"

    def short(self, value: int) -> str:
        """A value with its name."""
        name = self.known(value)
        return f"{value:#x} ({name})" if name else f"{value:#x}"

    def known(self, value: int) -> str:
        """The name of a value, which the trace then has in its table."""
        name = self.name(value) if value > 0xfff else ""
        if name and not self.region_of(value):
            self.names[f"{value:#x}"] = name
        return name

    # Going through the trace

    def walk(self) -> Iterator[tuple[int, dict[str, Any], dict[str, int], dict[str, int]]]:
        """Each step's number and content, with the registers of its CPU before and behind it."""
        for start in self.trace["start"]:
            self.registers[start["cpu"]] = {name: int(value, 16) for name, value in start["registers"].items()}
        for number, step in enumerate(self.trace["steps"]):
            before = self.registers[step["cpu"]]
            after = {**before, **{name: int(value, 16) for name, value in step["changes"].items()}}
            yield number, step, before, after
            self.registers[step["cpu"]] = after

    def symbol(self, step: dict[str, Any]) -> str:
        return self.trace["code"][step["code"]].get("symbol", "") if "code" in step else ""

    def text(self, step: dict[str, Any]) -> str:
        return self.trace["code"][step["code"]]["text"] if "code" in step else ""

    # Trap frames

    def find_frames(self) -> None:
        """Where a trap frame lies, and from which step to which. It is known for certain where the kernel hands it on;
        the words that make it were written before."""
        if "trap_frame" not in self.trace["structures"]:
            return
        size = self.trace["structures"]["trap_frame"]["size"]
        for number, step, before, _ in self.walk():
            place = FRAME_AT.get(self.symbol(step))
            writes = [int(address, 16) for address, *_ in step.get("writes", ())]
            if "interrupt" in step and len(writes) >= 5:
                self.add_frame(step["cpu"], writes[0] + 8 - size, number)
            elif place:
                self.add_frame(step["cpu"], before[place[0]] + place[1], number)
            self.close_frames(number, step)

    def add_frame(self, cpu: int, base: int, number: int) -> None:
        open_ones = [one for one in self.frames if one["base"] == f"{base:#x}" and "to" not in one]
        if not open_ones:
            self.frames.append({"cpu": cpu, "base": f"{base:#x}", "from": number})

    def close_frames(self, number: int, step: dict[str, Any]) -> None:
        """IRET, or the load of RSP before SYSRET, reads the frame's RSP, and then the frame is no more."""
        if not re.match(r"iret|mov rsp,", self.text(step)):
            return
        read = {int(address, 16) for address, *_ in step.get("reads", ())}
        members = {name: offset for name, offset, _ in self.trace["structures"]["trap_frame"]["members"]}
        for frame in self.frames:
            if "to" not in frame and int(frame["base"], 16) + members["rsp"] in read:
                frame["to"] = number

    def field(self, address: int, number: int) -> str:
        """What a word is called that lies in a trap frame or in a PCR at that step."""
        for frame in self.frames:
            offset = address - int(frame["base"], 16)
            if frame["from"] <= number <= frame.get("to", number):
                for name, start, size in self.trace["structures"]["trap_frame"]["members"]:
                    if start <= offset < start + size:
                        return f"frame.{name}"
        region = self.region_of(address)
        return self.name_in(region, address) if region and "structure" in region else ""

    # Sentences

    def sentence(self, number: int, step: dict[str, Any], before: dict[str, int], after: dict[str, int]) -> str:
        if "skipped" in step:
            others = ", while the other CPUs ran too" if step.get("together") else ""
            if not step["skipped"]:
                return f"CPU {step['cpu']} has been reset or started by another CPU."
            return f"{step['skipped']} instructions of CPU {step['cpu']} are left out here{others}."
        if "interrupt" in step:
            return self.interrupt_sentence(step, before, after)
        word, _, rest = self.text(step).partition(" ")
        maker = getattr(self, f"say_{word}", None)
        said = maker(number, step, before, after, rest) if maker else ""
        if CONDITIONAL.fullmatch(word):
            said = self.say_branch(step, after)
        return said or self.plain_sentence(number, step, before, after)

    def interrupt_sentence(self, step: dict[str, Any], before: dict[str, int], after: dict[str, int]) -> str:
        vector, cause = step["interrupt"]["vector"], step["interrupt"]["cause"]
        name = f"{EXCEPTIONS[vector]}, vector {vector}" if vector in EXCEPTIONS else f"vector {vector}"
        if cause == "instruction":
            begin = f"The instruction takes gate {vector:#x} of the IDT"
        elif "first" in step["interrupt"]:
            first = step["interrupt"]["first"]
            begin = f"A fault ({EXCEPTIONS.get(first, first)}) that cannot be delivered becomes {name}"
        elif cause == "exception":
            begin = f"The instruction is not executed: it raises {name}"
        else:
            begin = f"An interrupt comes before the next instruction: {name}"
        ring = f"goes from ring {before['cpl']} to ring 0" if before["cpl"] else "stays in ring 0"
        pushed = "SS, RSP, RFLAGS, CS, RIP" + (" and an error code" if len(step.get("writes", ())) > 5 else "")
        return (f"{begin}. The CPU {ring}, pushes {pushed}, so that RSP is {self.short(after['rsp'])}, and goes on at "
                f"{self.short(after['rip'])}.")

    def say_swapgs(self, number, step, before, after, rest) -> str:
        return (f"Exchanges the two GS bases: GS base is now {self.short(after['gs_base'])}, and KERNEL_GS_BASE keeps "
                f"{self.short(after['kernel_gs_base'])}.")

    def say_syscall(self, number, step, before, after, rest) -> str:
        return (f"Into ring 0, to {self.short(after['rip'])}, where IA32_LSTAR points. RCX keeps the old RIP and R11 "
                f"the old RFLAGS; stack and GS are still the program's.")

    def say_sysretq(self, number, step, before, after, rest) -> str:
        return f"Back to ring {after['cpl']}: RIP from RCX, {self.short(after['rip'])}, and RFLAGS from R11."

    say_sysret = say_sysretq

    def say_iretq(self, number, step, before, after, rest) -> str:
        where = f"back to ring {after['cpl']}" if after["cpl"] != before["cpl"] else f"still ring {after['cpl']}"
        return (f"Takes RIP, CS, RFLAGS, RSP and SS from the stack: {where}, on at {self.short(after['rip'])}, "
                f"with RSP {self.short(after['rsp'])}.")

    say_iret = say_iretq

    def say_push(self, number, step, before, after, rest) -> str:
        writes = step.get("writes", [])
        if len(writes) != 1:
            return ""
        address, _, value = writes[0]
        field = self.field(int(address, 16), number)
        where = f": {field}" if field else f" at {self.short(int(address, 16))}"
        return f"Pushes {self.short(int(value, 16))}{where}."

    def say_pop(self, number, step, before, after, rest) -> str:
        if rest not in after or not step.get("reads"):
            return ""
        field = self.field(int(step["reads"][0][0], 16), number)
        return f"Takes {rest.upper()} from the stack{f', {field}' if field else ''}: {self.short(after[rest])}."

    def say_call(self, number, step, before, after, rest) -> str:
        return f"Calls {self.short(after['rip'])}; the way back is pushed."

    def say_ret(self, number, step, before, after, rest) -> str:
        return f"Returns to {self.short(after['rip'])}."

    def say_jmp(self, number, step, before, after, rest) -> str:
        return f"Jumps to {self.short(after['rip'])}."

    def say_branch(self, step: dict[str, Any], after: dict[str, int]) -> str:
        target = re.search(r"\b([0-9a-f]{4,16})\b", self.text(step))
        if target and int(target[1], 16) == after["rip"]:
            return f"The condition holds: on to {self.short(after['rip'])}."
        return "The condition does not hold: no jump."

    def say_cli(self, number, step, before, after, rest) -> str:
        return "IF is 0: no interrupts from here on."

    def say_sti(self, number, step, before, after, rest) -> str:
        return "IF is 1: interrupts may come, from the instruction behind the next one on."

    def say_cld(self, number, step, before, after, rest) -> str:
        return "DF is 0: string instructions go up, as C wants it."

    def say_std(self, number, step, before, after, rest) -> str:
        return "DF is 1: string instructions go down."

    def say_clac(self, number, step, before, after, rest) -> str:
        return "AC is 0: SMAP keeps ring 0 from the program's memory."

    def say_stac(self, number, step, before, after, rest) -> str:
        return "AC is 1: ring 0 may touch the program's memory."

    def say_wrmsr(self, number, step, before, after, rest) -> str:
        value = (before["rdx"] & 0xffffffff) << 32 | before["rax"] & 0xffffffff
        register = before["rcx"] & 0xffffffff
        return f"Writes {MODEL_SPECIFIC.get(register, f'MSR {register:#x}')}: {self.short(value)}."

    def say_rdmsr(self, number, step, before, after, rest) -> str:
        value = (after["rdx"] & 0xffffffff) << 32 | after["rax"] & 0xffffffff
        register = before["rcx"] & 0xffffffff
        return f"Reads {MODEL_SPECIFIC.get(register, f'MSR {register:#x}')} into EDX and EAX: {self.short(value)}."

    def say_pause(self, number, step, before, after, rest) -> str:
        return "Waits a little, as one does in a loop that waits for something."

    def say_in(self, number, step, before, after, rest) -> str:
        return f"Reads I/O port {before['rdx'] & 0xffff:#x}: {after['rax'] & 0xff:#x}." if rest == "al,dx" else ""

    def say_out(self, number, step, before, after, rest) -> str:
        return f"Writes {before['rax'] & 0xff:#x} to I/O port {before['rdx'] & 0xffff:#x}." if rest == "dx,al" else ""

    def plain_sentence(self, number: int, step: dict[str, Any], before: dict[str, int], after: dict[str, int]) -> str:
        """What any instruction did: to memory, to registers, to the flags that are not arithmetic's."""
        parts = []
        for address, size, value, *_ in step.get("writes", ()):
            where = self.field(int(address, 16), number) or self.short(int(address, 16))
            parts.append(f"writes {self.short(int(value, 16))} to {where}")
        for name in step["changes"]:
            if name in BASES:
                parts.append(f"{BASES[name]} is now {self.short(after[name])}")
            elif name in BITS:
                changed = before[name] ^ after[name]
                bits = [f"{bit} {after[name] >> place & 1}" for bit, place in BITS[name].items()
                        if changed >> place & 1]
                parts.append(f"{name.upper()} is now {after[name]:#x} ({', '.join(bits) or 'other bits'})")
            elif name not in ("rip", "rflags", "cpl"):
                parts.append(f"{name.upper()} is now {self.short(after[name])}")
        changed = before["rflags"] ^ after["rflags"]
        parts += [f"{flag} is {after['rflags'] >> bit & 1}" for flag, bit in FLAGS.items()
                  if changed >> bit & 1 and flag not in ARITHMETIC]
        if not parts:
            arithmetic = [f"{flag} {after['rflags'] >> bit & 1}" for flag, bit in FLAGS.items() if changed >> bit & 1]
            target = re.match(r"(?:mov|lea)\w* (\w+),", self.text(step))
            same = target[1] if target and target[1] in after else ""
            parts = [f"only flags change: {', '.join(arithmetic)}" if arithmetic
                     else f"{same.upper()} is {self.short(after[same])} already" if same
                     else "changes nothing that is shown here"]
        text = "; ".join(parts)
        return text[0].upper() + text[1:] + "."


def annotate(annotator: Annotator) -> None:
    """Adds names, frames and sentences to a trace."""
    annotator.find_frames()
    for number, step, before, after in annotator.walk():
        for value in after.values():
            annotator.known(value)
        step["says"] = annotator.sentence(number, step, before, after)
    trace = annotator.trace
    steps = trace.pop("steps")
    trace["names"] = dict(sorted(annotator.names.items(), key=lambda item: int(item[0], 16)))
    trace["frames"] = annotator.frames
    trace["steps"] = steps
