# A run that ends before its checks has a verdict of its own: the kernel never comes on, or halts, or resets the
# machine. None of them is the grader's failure, and none makes it wait for long.
# SPDX-License-Identifier: MIT
#
# Seen to fail: when the '+' of the gdbstub was taken for an answer, the endless loop and the halt were the grader's
# failure.
from __future__ import annotations

from pathlib import Path

import pytest
from cases import LABS, grade, solution, told
from grading.verdicts import Cause

ENDINGS = {
    "loop": ("for (;;)\n        ;", Cause.OUT_OF_BUDGET),
    "halt": ("for (;;)\n        hlt();", Cause.ENDED),
    "reset": ('__asm__ volatile("ud2");', Cause.TRIPLE_FAULT),
    "off": ("machine_exit(true);", Cause.ENDED),
}


@pytest.mark.heavy
@pytest.mark.parametrize("name", ENDINGS)
def test_the_cause_is_told(name: str, tmp_path: Path):
    lab, (code, cause) = LABS["01"], ENDINGS[name]
    files = {file: solution(lab, file) for file in lab.files}
    text = files["kernel/gdt.c"].read_text()
    begin = "void gdt_load(uint64_t gdt[GDT_ENTRIES]) {\n"
    assert begin in text
    files["kernel/gdt.c"] = tmp_path / "gdt.c"
    files["kernel/gdt.c"].write_text(text.replace(begin, f"{begin}    {code}\n"))
    result = grade(lab, name, files, tmp_path / "work")
    assert result.cause is cause and result.points == 0, told(result)


# A function that does nothing: whatever the checks then find, they say it of the kernel.
EMPTY = [
    ("01", "kernel/gdt.c", "gdt_fill(uint64_t gdt[GDT_ENTRIES], struct tss *tss)"),
    ("01", "kernel/gdt.c", "gdt_load(uint64_t gdt[GDT_ENTRIES])"),
    ("01", "kernel/idt.c", "idt_init(void)"),
    ("01", "kernel/idt.c", "idt_load(void)"),
    ("02", "kernel/cpu.c", "cpu_init(void)"),
    ("02", "kernel/cpu.c", "pcr_init(struct pcr *pcr, unsigned cpu)"),
]


@pytest.mark.heavy
@pytest.mark.parametrize("number, name, function", EMPTY, ids=[function.split("(")[0] for _, _, function in EMPTY])
def test_an_empty_function_is_not_the_graders_failure(number: str, name: str, function: str, tmp_path: Path):
    lab = LABS[number]
    files = {file: solution(lab, file) for file in lab.files}
    text = files[name].read_text()
    begin = f"void {function} {{\n"
    assert begin in text
    files[name] = tmp_path / "changed"
    # What is behind it must not look unreachable, or the compiler would warn of what it needs no more.
    files[name].write_text(text.replace(begin, f"{begin}    if (rdtsc())\n        return;\n"))
    result = grade(lab, function.split("(")[0], files, tmp_path / "work")
    assert result.points < result.max_points and result.cause is not Cause.GRADER, told(result)
