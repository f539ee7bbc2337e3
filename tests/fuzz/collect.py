#!/usr/bin/env python3
# Fills tests/fuzz/corpus anew with what real boots hand to the kernel: boot information and ACPI tables in QEMU (BIOS and
# EFI) and Bochs, read while the machine stands at kernel_main, and our own programs, with what they load cut short.
# Run by hand when an emulator, GRUB or the format of a target's input has changed: tests/fuzz/collect.py
# SPDX-License-Identifier: MIT
from __future__ import annotations

import struct
import sys
import tempfile
from pathlib import Path
from typing import Callable

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from elftools.elf.elffile import ELFFile  # noqa: E402
from machine import qemu  # noqa: E402
from machine.bochs_debugger import BochsDebugger  # noqa: E402
from machine.gdbstub import Gdbstub  # noqa: E402
from machine.prepare import boot, prepare, variant_of  # noqa: E402
from machine.run import stop  # noqa: E402
from machine.walk import Run  # noqa: E402

CORPUS = Path(__file__).resolve().parent / "corpus"
DIRECT = 0xffff800000000000
MODULES = ("hello one 'two words'", "count 5")
COMMAND_LINE, MODULE, RSDP_OLD, RSDP_NEW = 1, 3, 14, 15
MOST = 0x10000          # bytes of a table
TRIMMED = 64            # bytes that are kept of a segment
Read = Callable[[int, int], int]


def keep(target: str, name: str, data: bytes) -> None:
    (CORPUS / target).mkdir(parents=True, exist_ok=True)
    (CORPUS / target / name).write_bytes(data)
    print(f"{target}/{name}: {len(data)} bytes")


def physical(read: Read, address: int, size: int) -> bytes:
    """Physical memory, by the direct window that the boot tables have."""
    words = b"".join(read(DIRECT + at, 8).to_bytes(8, "little") for at in range(address & ~7, address + size, 8))
    return words[address % 8:][:size]


def tags(information: bytes) -> dict[int, list[bytes]]:
    found: dict[int, list[bytes]] = {}
    at = 8
    while at < len(information):
        kind, size = struct.unpack_from("<II", information, at)
        found.setdefault(kind, []).append(information[at + 8:at + size])
        at += (size + 7) & ~7
    return found


def tables(read: Read, rsdp: bytes) -> dict[int, bytes]:
    """The root table and the MADT, by address."""
    wide = len(rsdp) >= 36
    root_at = struct.unpack_from("<Q", rsdp, 24)[0] if wide else struct.unpack_from("<I", rsdp, 16)[0]
    found = {root_at: table_at(read, root_at)}
    form, size = ("<Q", 8) if wide else ("<I", 4)
    for at in range(36, len(found[root_at]), size):
        (address,) = struct.unpack_from(form, found[root_at], at)
        if physical(read, address, 4) == b"APIC":
            found[address] = table_at(read, address)
    return found


def table_at(read: Read, address: int) -> bytes:
    return physical(read, address, min(struct.unpack("<I", physical(read, address + 4, 4))[0], MOST))


def collect(name: str, information_at: int, read: Read) -> None:
    size = struct.unpack("<I", physical(read, information_at, 4))[0]
    information = physical(read, information_at, size)
    keep("multiboot2", name, information)
    found = tags(information)
    keep("command_line", name, found[COMMAND_LINE][0])
    for number, module in enumerate(found.get(MODULE, [])):
        keep("arguments", f"{name}-{number}", module[8:].split(b"\0")[0])
    for kind in (RSDP_OLD, RSDP_NEW):
        for rsdp in found.get(kind, []):
            keep("acpi", f"{name}-{kind}", pack(rsdp[:36].ljust(36, b"\0"), tables(read, rsdp)))


def sound(table: bytearray, place: int) -> bytearray:
    """With the checksum at that place made right."""
    table[place] = 0
    table[place] = -sum(table) & 0xff
    return table


def pack(rsdp: bytes, laid: dict[int, bytes]) -> bytes:
    """The input of the target acpi: the root and the MADT one behind the other, which the firmware leaves far apart, with
    the addresses that lead there."""
    (root_at, root), *others = laid.items()
    wide = root[:4] == b"XSDT"
    form, place = ("<Q", 24) if wide else ("<I", 16)
    base, table, pointer, at = root_at & ~0xfff, bytearray(root), bytearray(rsdp), len(root)
    struct.pack_into(form, pointer, place, base)
    for address, data in others:
        found = root.index(struct.pack(form, address), 36)
        struct.pack_into(form, table, found, base + at)
        at += len(data)
    pointer[:20] = sound(pointer[:20], 8)       # ACPI 1.0 sums these alone
    pointer = sound(pointer, 32)
    return struct.pack("<Q", base) + bytes(pointer) + bytes(sound(table, 9)) + b"".join(data for _, data in others)


def of_qemu(folder: Path, firmware: str) -> None:
    request, kernel = prepare(variant_of("05"), folder, Run(MODULES, ("selftest",), 3), gdb=str(folder / "socket"))
    if firmware == "efi":
        built = kernel.parent
        modules = boot.find_modules(type("Words", (), {"module": list(MODULES), "programs": ""}), built)
        folder = Path(tempfile.mkdtemp(dir=folder))
        request.iso = boot.iso.make_run(kernel, ["selftest", "poweroff"], modules, folder, "efi")
        request.firmware = "efi"
    machine = qemu.run(request)
    try:
        stub = Gdbstub(request.gdb)
        stub.run_to(address_of(kernel))
        collect(f"qemu-{firmware}", stub.registers()["rdi"] & 0xffffffff, stub.read)
    finally:
        stop(machine.process)


def of_bochs(folder: Path) -> None:
    request, kernel = prepare(variant_of("05"), folder, Run(MODULES, ("selftest",), 2))
    debugger = BochsDebugger(request, kernel)
    try:
        debugger.run_to(address_of(kernel))
        collect("bochs", debugger.registers()["rdi"] & 0xffffffff, debugger.read)
    finally:
        debugger.close()


def address_of(kernel: Path) -> int:
    lines = kernel.with_suffix(".sym").read_text().splitlines()
    return next(int(address, 16) for address, name in map(str.split, lines) if name == "kernel_main")


def trim(path: Path) -> bytes:
    """An ELF file with the same headers, and of each segment no more than its beginning."""
    data = path.read_bytes()
    header = bytearray(data[:64])
    table, = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    entries, content = bytearray(data[table:table + size * count]), b""
    for number in range(count):
        kind, _, offset, _, _, length, memory, _ = struct.unpack_from("<IIQQQQQQ", entries, number * size)
        kept = min(length, TRIMMED)
        struct.pack_into("<Q", entries, number * size + 8, 64 + size * count + len(content))
        struct.pack_into("<Q", entries, number * size + 32, kept)
        content += data[offset:offset + kept]
    struct.pack_into("<QQ", header, 32, 64, 0)
    struct.pack_into("<HHH", header, 58, 0, 0, 0)
    return bytes(header + entries) + content


def of_programs() -> None:
    for path in sorted((ROOT / "build/05/user").iterdir()):
        if path.is_file() and path.read_bytes()[:4] == b"\x7fELF" and ELFFile(path.open("rb"))["e_type"] == "ET_EXEC":
            keep("elf", path.name, trim(path))


def of_formats() -> None:
    """What the kernel prints itself: a table's row, registers, and a name."""
    numbers = [struct.pack("<BBQ", kind, width, value) for kind, width, value in
               ((0, 3, 2), (7, 16, 0xffff800000134000), (2, 6, 109), (4, 0, 0x2b), (6, 0, (1 << 64) - 1))]
    keep("printk", "row", b"".join(numbers))
    keep("printk", "text", b"\x80hello one two\0" + numbers[0] + b"\x80\0" + numbers[1])


def of_edges() -> None:
    """What no boot hands over, and chance takes long to come to: lengths about a limit."""
    for size in (2799, 2800, 2801):
        keep("arguments", f"of-{size}-bytes", (b"ab 'c' \"d e\" " * 300)[:size])
    keep("arguments", "backslash-at-the-end", b"hello \\")
    input = (CORPUS / "acpi/bochs-14").read_bytes()
    madt = input.index(b"APIC")
    for name, place, value in (("madt-of-20-bytes", madt + 4, 20), ("madt-that-cuts-an-entry", madt + 4, 49),
                               ("entry-of-0-bytes", madt + 45, 0),
                               ("entry-of-6-bytes", madt + 45, 6), ("entry-of-200-bytes", madt + 45, 200)):
        keep("acpi", name, input[:place] + bytes([value]) + input[place + 1:])


def main() -> None:
    for target in ("qemu-bios", "qemu-efi", "bochs"):
        with tempfile.TemporaryDirectory() as folder:
            of_bochs(Path(folder)) if target == "bochs" else of_qemu(Path(folder), target.partition("-")[2])
    of_programs()
    of_formats()
    of_edges()


if __name__ == "__main__":
    main()
