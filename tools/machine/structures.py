# The kernel's structures as its debugging information (DWARF) has them, so that a walk can say trap_frame(rsp).cs
# and need no offset. Used by tools/machine/expression.py and tools/step. Needs pyelftools.
# SPDX-License-Identifier: MIT
from __future__ import annotations

from functools import cached_property, lru_cache
from pathlib import Path
from typing import Iterator

from elftools.dwarf.die import DIE
from elftools.elf.elffile import ELFFile

# What may stand between a member and its type proper.
WRAPPERS = ("DW_TAG_typedef", "DW_TAG_const_type", "DW_TAG_volatile_type")


class Structures:
    """The structures of one kernel. The file is read when the first of them is asked for."""

    def __init__(self, elf: Path):
        self.elf = elf

    @cached_property
    def known(self) -> dict[str, DIE]:
        """All structures that have a name and members."""
        file = ELFFile(self.elf.open("rb"))
        entries = [entry for unit in file.get_dwarf_info().iter_CUs() for entry in unit.iter_DIEs()]
        return {name_of(entry): entry for entry in entries
                if entry.tag == "DW_TAG_structure_type" and entry.has_children and name_of(entry)}

    def find(self, structure: str) -> DIE:
        if structure not in self.known:
            raise LookupError(f"the kernel has no structure '{structure}'")
        return self.known[structure]

    def size(self, structure: str) -> int:
        return self.find(structure).attributes["DW_AT_byte_size"].value

    @lru_cache(maxsize=None)        # some are long, and asked for again and again
    def members(self, structure: str) -> dict[str, tuple[int, int]]:
        """Offset and size of every number in a structure, by names such as 'self', 'tss.rsp0' and 'gdt[2]'."""
        return {name: (offset, size) for name, offset, size in numbers(self.find(structure), "", 0)}

    def member(self, structure: str, path: str) -> tuple[int, int]:
        members = self.members(structure)
        if path not in members:
            raise LookupError(f"{structure} has no member '{path}'; it has {', '.join(members)}")
        return members[path]


def name_of(entry: DIE) -> str:
    name = entry.attributes.get("DW_AT_name")
    return name.value.decode() if name else ""


def type_of(entry: DIE) -> DIE:
    """The type of a member or of an array's elements, behind its other names."""
    found = entry.get_DIE_from_attribute("DW_AT_type")
    return type_of(found) if found.tag in WRAPPERS else found


def length_of(array: DIE) -> int:
    ranges = [child.attributes for child in array.iter_children() if child.tag == "DW_TAG_subrange_type"]
    counts = [one["DW_AT_count"].value if "DW_AT_count" in one else one["DW_AT_upper_bound"].value + 1
              for one in ranges if "DW_AT_count" in one or "DW_AT_upper_bound" in one]
    return counts[0] if counts else 0       # a flexible array has neither


def size_of(kind: DIE) -> int:
    """A pointer says its size, or it is that of the machine."""
    size = kind.attributes.get("DW_AT_byte_size")
    return size.value if size else 8


def numbers(structure: DIE, prefix: str, base: int) -> Iterator[tuple[str, int, int]]:
    """Name, offset and size of the numbers in a structure, and in the structures and arrays within it. The members
    of one without a name belong to the structure around it."""
    for member in structure.iter_children():
        if member.tag == "DW_TAG_member" and "DW_AT_data_member_location" in member.attributes:
            offset = base + member.attributes["DW_AT_data_member_location"].value
            yield from numbers_of_type(type_of(member), prefix, name_of(member), offset)


def numbers_of_type(kind: DIE, prefix: str, name: str, offset: int) -> Iterator[tuple[str, int, int]]:
    if kind.tag == "DW_TAG_structure_type":
        yield from numbers(kind, f"{prefix}{name}." if name else prefix, offset)
    elif kind.tag == "DW_TAG_array_type":
        element = type_of(kind)
        for index in range(length_of(kind)):
            yield from numbers_of_type(element, prefix, f"{name}[{index}]", offset + index * size_of(element))
    else:
        yield prefix + name, offset, size_of(kind)
