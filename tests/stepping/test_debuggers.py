# What the drivers of the two debuggers do beyond following a walk.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import pytest

from machine.bochs_debugger import BochsDebugger, DebuggerError, Missed, instruction_after, start_at
from machine.gdbstub import GdbError
from machine.prepare import prepare, variant_of
from machine.walk import Kernel
from machines import in_bochs, in_qemu

pytestmark = pytest.mark.needs("grub")
QUIT = b"quit".hex().encode()


@pytest.mark.needs("qemu")
def test_an_nmi_before_swapgs_is_exact(tmp_path):
    """An NMI strikes between SYSCALL and SWAPGS, and the kernel gives the program's GS back. Without the request that
    makes QEMU's steps ordinary ones, none comes: seen."""
    with in_qemu("03", tmp_path) as (debugger, kernel):
        entry = kernel.addresses["syscall_entry"]
        debugger.run_to(entry)
        before = debugger.registers()
        assert "Unknown command" not in debugger.monitor("nmi")
        debugger.step()
        struck = debugger.registers()
        assert struck["rip"] != kernel.addresses["syscall_entry.step2"]
        assert debugger.read(struck["rsp"], 8) == entry, "the frame does not lead back to syscall_entry"
        assert struck["gs_base"] == before["gs_base"] != before["kernel_gs_base"]
        debugger.run_to(kernel.addresses["syscall_entry.step2"])
        after = debugger.registers()
        assert (after["gs_base"], after["kernel_gs_base"]) == (before["kernel_gs_base"], before["gs_base"])


@pytest.mark.needs("qemu")
def test_the_last_answer_of_a_machine_that_ended_counts(tmp_path):
    """QEMU answers and is gone: what it said is given, and the next request says that it has ended. Seen to fail: while
    the '+' for the answer was sent to nobody, the test ended with BrokenPipeError."""
    with in_qemu("00", tmp_path) as (debugger, _):
        debugger.socket.sendall(b"$qRcmd,%s#%02x" % (QUIT, sum(b"qRcmd," + QUIT) % 256))
        debugger.received = b"$OK#9a"       # as if it had been sent in the meantime
        while debugger.socket.recv(100):
            pass
        assert debugger.answer() == "OK"
        with pytest.raises(GdbError, match="QEMU has ended"):
            debugger.request("g")
        debugger.interrupt()


@pytest.mark.needs("bochs")
def test_bochs_with_several_cpus_runs_past_a_breakpoint(tmp_path):
    """Bochs 2.7 does not see a breakpoint that is five instructions away. The second breakpoint behind it stops the
    machine, and the driver says so. With a Bochs that has no such gap, run_to() ends as it should."""
    request, elf = prepare(variant_of("03"), tmp_path, cpus=2)
    address = Kernel(elf).addresses["syscall_entry"]
    debugger = start_at(request, elf, address, print)
    for _ in range(5):
        address = instruction_after(elf, address)
    try:
        debugger.run_to(address)
        expected = address
    except Missed:
        expected = instruction_after(elf, address)
    seen = debugger.registers()["rip"]
    debugger.close()
    assert seen == expected


@pytest.mark.needs("bochs")
def test_a_breakpoint_that_is_missed_is_reached_all_the_same(tmp_path, monkeypatch):
    """As if Bochs ran past syscall_entry, which depends on the kernel's every instruction: it is reached by counting.
    Seen to fail: with a wait for 100 instructions more."""
    request, elf = prepare(variant_of("03"), tmp_path, cpus=2)
    entry = Kernel(elf).addresses["syscall_entry"]
    run_to = BochsDebugger.run_to

    def miss_the_entry(debugger: BochsDebugger, address: int) -> None:
        run_to(debugger, address)
        if address == entry:
            debugger.command("s")
            raise Missed(address, debugger.executed())

    monkeypatch.setattr(BochsDebugger, "run_to", miss_the_entry)
    debugger = start_at(request, elf, entry, print)
    seen = debugger.registers()
    debugger.close()
    assert seen["rip"] == entry


@pytest.mark.needs("bochs")
def test_what_the_kernel_printed_explains_why_a_place_was_not_reached(tmp_path):
    """Nothing panics in stage 03, so the machine runs to its end. Seen to fail: with what it printed thrown away."""
    request, elf = prepare(variant_of("03"), tmp_path)
    printed: list[bytes] = []
    with pytest.raises(DebuggerError, match="the machine stopped at 0xf"):
        start_at(request, elf, Kernel(elf).addresses["panic_begin"], printed.append)
    assert b"all programs have ended" in b"".join(printed)


@pytest.mark.needs("bochs")
def test_memory_that_is_not_there(tmp_path):
    with in_bochs("03", tmp_path) as (debugger, kernel):
        debugger.run_to(kernel.addresses["kernel_main"])
        assert debugger.read(kernel.addresses["kernel_main"], 1) != 0
        with pytest.raises(LookupError):
            debugger.read(0x123456789000, 8)
