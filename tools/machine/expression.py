# The small language in which a walk says what it looks at and what it expects: sums and comparisons over the
# registers of a CPU that stands still, its memory, and the kernel's symbols and structures.
# Used by tools/machine/walk.py; docs/formats/walk.schema.json describes it to those who write walks.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import ast
import operator
from dataclasses import dataclass
from typing import Callable, Union

from .structures import Structures

WORD = (1 << 64) - 1
# The flags of RFLAGS by the names that the manuals give them.
FLAGS = {"CF": 0, "PF": 2, "AF": 4, "ZF": 6, "SF": 7, "TF": 8, "IF": 9, "DF": 10, "OF": 11, "NT": 14, "RF": 16,
         "AC": 18, "ID": 21}
SIZES = {"u8": 1, "u16": 2, "u32": 4, "u64": 8}     # u16[rip - 2] is the two bytes there, as a number
OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.BitAnd: operator.and_,
             ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le,
             ast.Gt: operator.gt, ast.GtE: operator.ge}
LANGUAGE = (ast.Constant, ast.Name, ast.Attribute, ast.Subscript, ast.Call, ast.BinOp, ast.Compare, ast.Load,
            *OPERATORS)


class ExpressionError(Exception):
    """The text is not of the language, or names what is not there; the message says what."""


@dataclass(frozen=True)
class Place:
    """A structure in memory, such as trap_frame(rsp)."""

    structure: str
    address: int


@dataclass
class View:
    """What there is to see of a CPU that stands still."""

    registers: dict[str, int]
    read: Callable[[int, int], int]     # address and number of bytes
    symbols: dict[str, int]
    structures: Structures

    def named(self, name: str) -> int:
        """The value of a register or a flag, the address of a symbol, or the ring, which the low bits of CS hold."""
        if name in self.registers:
            return self.registers[name]
        if name == "cpl":
            return self.registers["cs"] & 3
        if name in FLAGS:
            return self.registers["rflags"] >> FLAGS[name] & 1
        if name in self.symbols:
            return self.symbols[name]
        raise ExpressionError(f"there is no register, flag or symbol '{name}'")

    def members(self, place: Place) -> dict[str, int]:
        """Everything in a structure."""
        members = self.structures.members(place.structure)
        return {name: self.read(place.address + offset & WORD, size) for name, (offset, size) in members.items()}


def parse(text: str) -> ast.expr:
    """The expression as a tree. Python's parser reads it, but it need not be harmless Python: nothing that is not
    of the language gets any further."""
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise ExpressionError(f"'{text}' cannot be read: {error.msg}") from None
    for node in ast.walk(tree):
        plain = type(node.value) is int if isinstance(node, ast.Constant) else True
        if not isinstance(node, LANGUAGE) or not plain:
            raise ExpressionError(f"'{text}' is not of the language of walks ({type(node).__name__})")
    return tree


def evaluate(text: str, view: View) -> Union[int, bool, Place]:
    """The value of an expression."""
    tree = parse(text)
    try:
        return value(tree, view)
    except (ExpressionError, LookupError) as error:
        raise ExpressionError(f"'{text}': {error}") from None


def operands(text: str) -> list[str]:
    """Both sides of a comparison, without plain numbers: what to show when it does not hold."""
    tree = parse(text)
    both = [tree.left, *tree.comparators] if isinstance(tree, ast.Compare) else [tree]
    return [ast.unparse(side) for side in both if not isinstance(side, ast.Constant)]


def value(node: ast.expr, view: View) -> Union[int, bool, Place]:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.BinOp):
        return OPERATORS[type(node.op)](number(node.left, view), number(node.right, view)) & WORD
    if isinstance(node, ast.Compare):
        return compare(node, view)
    if isinstance(node, ast.Call):
        return call(node, view)
    memory = location(node, view)
    return view.read(*memory) if memory else view.named(ast.unparse(node))


def location(node: ast.expr, view: View) -> Union[tuple[int, int], None]:
    """Address and size of what an expression names, if that is in memory."""
    root = node
    while isinstance(root, (ast.Attribute, ast.Subscript)):
        root = root.value
    if root is not node and isinstance(root, ast.Call):     # trap_frame(rsp).cs
        place = call(root, view)
        path = ast.unparse(node)[len(ast.unparse(root)):].lstrip(".")
        offset, size = view.structures.member(place.structure, path)
        return place.address + offset & WORD, size
    if isinstance(node, ast.Subscript):                     # u64[rsp]
        return number(node.slice, view), size_of(ast.unparse(node.value))
    return None


def number(node: ast.expr, view: View) -> int:
    found = value(node, view)
    if isinstance(found, Place):
        raise ExpressionError(f"{ast.unparse(node)} is a structure, not a number")
    return found


def size_of(word: str) -> int:
    if word not in SIZES:
        raise ExpressionError(f"memory is read by {', '.join(SIZES)}, not by '{word}'")
    return SIZES[word]


def compare(node: ast.Compare, view: View) -> bool:
    """As in mathematics, a < b < c is both comparisons."""
    values = [number(side, view) for side in (node.left, *node.comparators)]
    return all(OPERATORS[type(kind)](left, right) for kind, left, right in zip(node.ops, values, values[1:]))


def call(node: ast.Call, view: View) -> Union[int, Place]:
    """A structure's size, or a structure at an address. There are no other calls."""
    if not isinstance(node.func, ast.Name) or len(node.args) != 1 or node.keywords:
        raise ExpressionError(f"'{ast.unparse(node)}' is not of the form structure(address)")
    if node.func.id == "sizeof":
        return view.structures.size(ast.unparse(node.args[0]))
    view.structures.size(node.func.id)      # refuses a name that the kernel does not have
    return Place(node.func.id, number(node.args[0], view))
