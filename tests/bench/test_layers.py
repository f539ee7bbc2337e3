# The kernel layers of bench/layers, by which tools/measure looks into the kernel: each builds, boots, ends well, and
# tells figures that can be. That the figures are right, the groups themselves see to. Seen to fail: with the changes
# that each test names.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import pytest
from measure import counters, guest, memory, path, scaling
from measure.figures import CannotMeasure

PROGRAM = "calls getpid"


def instructions(results: guest.Results, name: str) -> float:
    return results[name][0].instructions


def test_every_layer_is_tried_here():
    """Seen to fail: with a folder more in bench/layers."""
    tried = {"counters", "empty-interrupt", "frames", "load", "queues", "results", "wake"}
    assert {folder.name for folder in guest.LAYERS.iterdir()} == tried


def test_empty_interrupt():
    """A way in and out saves and loads fifteen registers, and an empty handler is not long. Seen to fail: with a layer
    that leaves the clock its handler."""
    results = guest.run(["interrupted exceptions"], layer="empty-interrupt")
    interrupt = results["interrupt"][0]
    assert interrupt.least == interrupt.median == interrupt.most
    assert 2 * 15 < interrupt.instructions < 100
    assert 2 * 15 < guest.instructions(results, "breakpoint") < 110
    assert 2 * 15 < guest.instructions(results, "page-fault") < 110


@pytest.mark.needs("bochs")
def test_what_is_counted_is_what_is_executed():
    """Seen to fail: with one instruction added to what interrupted.c tells."""
    counted = instructions(guest.run(["interrupted"], layer="empty-interrupt"), "interrupt")
    way = path.record("interrupted", vector=0x40, layer="empty-interrupt")
    assert len(way) == counted
    kinds = [one.kind for one in way]
    assert kinds.count("push") > 15 and kinds.count("pop") > 15
    assert way[0].routine == path.STUBS and way[-1].text.startswith("iret")


def test_counting_costs_what_it_must():
    """An increment is one instruction, in the PCR and by the atomic one; a lock is more than that. (The layer itself
    panics when an increment is lost.) Seen to fail: with a second addition in the loop."""
    results = guest.run([PROGRAM], cpus=2, layer="counters")
    for cpus in (1, 2):
        assert counters.per_increment(results, "per-cpu", cpus) == pytest.approx(1, abs=0.02)
        assert counters.per_increment(results, "atomic", cpus) == pytest.approx(1, abs=0.02)
        assert 4 < counters.per_increment(results, "lock", cpus) < 100


def test_counting_in_the_pcr_is_one_instruction():
    """Seen to fail: with a volatile this_cpu, which makes it three (`mov`, `add`, `mov`)."""
    guest.run([PROGRAM], layer="counters")
    assert counters.per_cpu_access(guest.kernel_with("counters"))


def test_more_than_one_instruction_is_noticed(monkeypatch):
    """The check itself, on what a volatile this_cpu gives."""
    monkeypatch.setattr(counters, "routine", lambda elf, name: [
        "mov rax,QWORD PTR gs:0xe0", "add rax,0x1", "mov QWORD PTR gs:0xe0,rax", "sub rdi,0x1", "ret"])
    with pytest.raises(CannotMeasure, match="not one instruction"):
        counters.per_cpu_access(guest.kernel_with("counters"))


def test_frames():
    """What the accounts say is what the allocator has given out. Seen to fail: with stacks of two frames in the account,
    and with a frame that is taken for nothing."""
    one, more = memory.frames_with(1), memory.frames_with(3)
    for frames in (one, more):
        assert frames["taken"] == sum(frames[name] for name in memory.ACCOUNTS)
    assert more["pcrs"] - one["pcrs"] == 2
    assert more["interrupt-stacks"] == 3 * one["interrupt-stacks"] > 0


def test_load():
    """Each module is loaded, and then all run. What a program has more of data takes two instructions for each byte,
    which is zeroed and copied, and a little for each page. Seen to fail: with the ticks of the module before it."""
    kib = 64
    guest.build_programs()
    loaded = scaling.build_loaded(kib).name
    output = guest.boot([PROGRAM, PROGRAM, loaded], layer="load")
    results = guest.parse(output)
    more = instructions(results, "load-3") - instructions(results, "load-2")
    assert 2 * 1024 * kib * 0.9 < more < 2 * 1024 * kib * 1.5
    assert "load-4" not in results
    assert len(results["getpid"]) == 2 and "all programs have ended" in output


def test_wake_and_queues():
    """A thread's first instruction on another CPU takes more than an interrupt to come to; two threads on each of two
    CPUs take turns for what they take on one. Seen to fail: with the thread on the first CPU (the layer itself panics);
    with threads of the second CPU that yield twice as often."""
    wake = instructions(guest.run([PROGRAM], cpus=2, layer="wake"), "wake-1")
    assert 100 < wake < 1000
    results = guest.run([PROGRAM], cpus=2, layer="queues")
    assert 20 < instructions(results, "queues-1") < 300
    assert instructions(results, "queues-2") == pytest.approx(instructions(results, "queues-1"), rel=0.02)
