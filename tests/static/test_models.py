# The models of docs/models: no order of their steps breaks one, and each broken variant of one is broken, in the way
# that it is meant to be. What a model says of the kernel must be there, and as it was when somebody last compared them.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from types import ModuleType

import pytest
from harness import ROOT
from layers import Variant, merge, stage_folders

TOOL = [sys.executable, str(ROOT / "tools/model")]
HANGS = "nobody can go on"
# What must be violated, and words of the last steps to it, for each variant.
COUNTER_EXAMPLES = {
    ("ap_start", "plain-store"): ("taken[head]==1", "takes PCR"),
    ("ap_start", "no-door"): ("working<=told", "join()"),
    ("ap_start", "list-emptied"): ("working<=told", "join()"),
    ("ap_start", "id-late"): ("answered==told", "smp: 1 CPUs"),
    ("gs", "nmi-asks-cs"): ("(gs==", "no SWAPGS"),
    ("gs", "nmi-asks-sign"): ("(gs==", "looks like the kernel's"),
    ("gs", "sti-early"): ("(gs==", "an interrupt, while in_syscall"),
    ("gs", "no-fix-up"): ("(gs==", "IRETQ to ring 3 faults"),
    ("gs", "one-ist"): ("ist_used", "an NMI, while mc_"),
    ("gs", "mc-returns"): ("ist_used", "an NMI, while nmi_"),
    ("gs", "fault-in-nmi"): ("ist_used", "an NMI, while nmi_"),
    ("handover", "unlock-early"): ("saved[", "balance_pull()"),
    ("handover", "look-behind"): ("on_stack[", "task_destroy()"),
    ("handover", "sleep-with-if"): ("q_full", "sched_tick()"),
    ("handover", "bury-oneself"): ("on_stack[", "task_destroy()"),
    ("handover", "wake-from-afar"): ("saved[", "sleeps on the other CPU"),
    ("idle", "sti-early"): (HANGS, "idle CPU: HLT"),
    ("idle", "gap"): (HANGS, "idle CPU: HLT"),
    ("idle", "no-notify"): (HANGS, "idle CPU: HLT"),
    ("idle", "notify-first"): (HANGS, "idle CPU: HLT"),
    ("idle", "nmi-in-between"): (HANGS, "idle CPU: HLT"),
    ("panic", "by-interrupt"): ("presence[", "the time is up"),
    ("panic", "no-arbitration"): ("presence[", "counts"),
    ("panic", "no-wait"): ("presence[", "reports"),
    ("panic", "deaf-to-itself"): (HANGS, "a fault while it reports"),
    ("panic", "any-nmi-stops"): (HANGS, "stops"),
    ("panic", "before-known"): ("presence[", "reports"),
    ("panic", "late-joiner"): ("presence[2]", "join()"),
}


def load() -> ModuleType:
    """tools/model as a module."""
    loader = SourceFileLoader("model", str(ROOT / "tools/model"))
    module = module_from_spec(spec_from_loader(loader.name, loader))
    sys.modules[loader.name] = module
    loader.exec_module(module)
    return module


model = load()
ALL = [(name, word, kind) for name in model.models() for word, (kind, _) in model.variants(name).items()]
needs_spin = pytest.mark.needs("spin")


@needs_spin
@pytest.mark.parametrize("name", model.models())
def test_no_order_breaks_it(name: str):
    result = model.check(name)
    assert result.error == "" and result.states > 1000, result


@needs_spin
@pytest.mark.parametrize("name, word", [one[:2] for one in ALL if one[2] == "sound"])
def test_change_does_no_harm(name: str, word: str):
    assert model.check(name, word).error == ""


@pytest.mark.heavy
@needs_spin
@pytest.mark.parametrize("name, word", COUNTER_EXAMPLES)
def test_mistake_is_found(name: str, word: str):
    """By the assertion that is meant, and the steps to it are told."""
    result = model.check(name, word)
    violated, step = COUNTER_EXAMPLES[name, word]
    assert violated in result.error, result
    assert any(step in line for line in result.steps[-8:]), result.steps


def test_every_variant_is_checked():
    assert set(COUNTER_EXAMPLES) == {one[:2] for one in ALL if one[2] == "broken"}
    for name in model.models():
        text = (model.MODELS / f"{name}.pml").read_text()
        switches = {word.lower().replace("_", "-") for word in re.findall(r"\b(?:BROKEN|SOUND)_([A-Z_]+)", text)}
        assert switches == set(model.variants(name)), name


def head(name: str) -> str:
    return (model.MODELS / f"{name}.pml").read_text().partition(" */")[0]


def kernel_text() -> str:
    """All of the kernel's sources, of all stages."""
    files = [path for folder in stage_folders().values() for path in (folder / "kernel").iterdir()]
    return "\n".join(path.read_text() for path in sorted(files))


@pytest.mark.parametrize("name", model.models())
def test_what_it_stands_for_is_there(name: str):
    """Each function and file that a model names is the kernel's."""
    text, stages = kernel_text(), list((ROOT / "stages").glob("*/kernel/*"))
    own = set(re.findall(r"^inline (\w+)", (model.MODELS / f"{name}.pml").read_text(), re.MULTILINE))
    for function in set(re.findall(r"\b([a-z_0-9]+)\(\)", head(name))) - own:
        assert re.search(rf"\b{function}\(", text), f"the kernel has no {function}()"
    for number, file in re.findall(r"stages/(\d\d) (\w+\.[cSh])", head(name)):
        assert any(path.name == file and path.parent.parent.name.startswith(number) for path in stages), (number, file)


def test_kernel_is_as_the_models_know_it():
    """Who changes a function that a model stands for looks at the model, and then runs `tools/model --looked`."""
    known = json.loads((model.MODELS / "looked-at.json").read_text())
    now = model.digests()
    changed = [f"{name}: {function}" for name in now for function in now[name]
               if known.get(name, {}).get(function) != now[name][function]]
    assert not changed, f"look whether the models are still right, then run tools/model --looked: {changed}"
    assert known == now


def test_changed_function_is_noticed():
    """A comment or a line's length changes nothing, a statement does."""
    sched = merge(Variant(max(stage_folders())))["kernel/sched.c"].source.read_text()
    same = model.digest(sched.replace("/* this task's own, from before it was left */", ""), "schedule")
    other = model.digest(sched.replace("    switch_end();\n    if (flags", "    if (flags"), "schedule")
    assert same == model.digest(sched, "schedule") != other


@pytest.mark.parametrize("words", [["nothing"], ["idle", "--broken", "x"], ["--broken", "gap"], ["--x"]])
def test_bad_arguments(words: list[str]):
    done = subprocess.run([*TOOL, *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "tools/model: error:" in done.stderr


def test_says_what_is_missing(tmp_path):
    done = subprocess.run([*TOOL, "gs"], capture_output=True, text=True, timeout=60, env={"PATH": str(tmp_path)})
    assert done.returncode == 2 and "apt-get install spin" in done.stderr, done.stderr


@needs_spin
def test_person_sees_the_way():
    done = subprocess.run([*TOOL, "idle", "--broken", "gap"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and "idle CPU: HLT\nidle, gap: nobody can go on" in done.stdout, done.stdout
