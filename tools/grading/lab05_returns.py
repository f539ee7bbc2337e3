# Lab 05, the audit of every return to ring 3, in QEMU, where a frame can be forged and the way out be stepped. Called
# by lab05.py; what only Bochs shows is in lab05_bochs.py.
# SPDX-License-Identifier: MIT
from __future__ import annotations

from . import scene
from .target import Ended, Target
from .way import Moment, follow
from .work import Bench, Program

USER_TOP = 1 << 47
LAST_BYTE = 0x7fffffffffff
GETPID = 39
TASKS = 9
BAD_SELECTORS = {"cs": 0x33, "ss": 0x33}    # the TSS's, which is neither code nor data
FRAME_CS, FRAME_RFLAGS, FRAME_SS = 8, 16, 32    # of what IRETQ takes, from RSP on


def in_qemu(bench: Bench) -> None:
    """One machine for all parts, and another one if it did not survive a part."""
    program, target = bench.program("probe"), None
    for part in (forged_addresses, legal_address, trap_flag, bad_frame):
        try:
            target = target or tasks(bench, program)
            target.new_budget()
            failures = bench.failures()
            part(bench, target, program)
            bench.count(target)
            if bench.failures() > failures:     # it stands anywhere
                target = target.close()
        except Ended as ended:
            bench.ended(ended)
            target = target.close() if target else None
    if target:
        target.close()


def canonical(address: int) -> bool:
    return address >> 47 in (0, (1 << 17) - 1)


def tasks(bench: Bench, program: Program) -> Target:
    """One CPU, as many tasks as are to die, and one that is to live. Stands at the first one's first instruction."""
    target = bench.boot(*[program] * TASKS, cpus=1)
    try:
        target.run_to(program["_start"])
        return target
    except BaseException:
        target.close()
        raise


def to_user_return(bench: Bench, target: Target, program: Program) -> int:
    """The task that stands in ring 3 makes a system call, and comes to user_return(). Gives the frame's address."""
    scene.fill(bench, target, program, "call", rax=GETPID)
    target.step()
    target.run_to(bench.code.symbol("user_return"))
    stay(bench, target)
    return target["rdi"]


def stay(bench: Bench, target: Target) -> None:
    """In user_return(): it is not the next task's turn, if this one may go on."""
    target.write(scene.pcr_of(target) + bench.code.member("pcr", "need_switch"), 0, 1)


def leave_user_return(target: Target, program: Program) -> bool:
    """Runs on until user_return() comes back, or until it does not: then another task begins. True if it came back."""
    back, rsp = target.read(target["rsp"]), target["rsp"] + 8
    while True:
        place = target.run_to(back, program["_start"])
        if place == program["_start"]:
            return False
        if target["rsp"] == rsp:
            return True
        target.step()


def leaves(now: Moment) -> bool:
    """It is the instruction by which ring 0 is left. (In user_return()'s callers no other IRETQ is on the way.)"""
    return now.ring == scene.RING_3 or now.mnemonic in ("sysret", "sysretq", "iretq")


def way_out(target: Target) -> list[Moment]:
    """From behind user_return() to the first moment in ring 3."""
    return list(follow(target, lambda now: now.ring == scene.RING_3))


def forged_addresses(bench: Bench, target: Target, program: Program) -> None:
    """Frames with addresses that no program has: the first one, and some that differ from it in other bits."""
    draw = bench.random
    kinds = [USER_TOP,                                                  # where a SYSCALL in the last two bytes leads
             USER_TOP | draw.getrandbits(46) & ~1,                      # bit 47 set, and not those above
             (draw.getrandbits(15) | 1) << 48 | draw.getrandbits(46),   # bit 47 clear, and some above set
             (1 << 63) | draw.getrandbits(46)]
    for address in kinds:
        if not refuses(bench, target, program, address):
            break
    bench.passed("return-syscall")


def refuses(bench: Bench, target: Target, program: Program, address: int) -> bool:
    """One such frame. False if SYSRET got the address. The IRETQ that gets it is Bochs' affair."""
    frame = to_user_return(bench, target, program)
    scene.write_frame(target, frame, {"rip": address})
    if leave_user_return(target, program):
        for now in follow(target, lambda one: one.ring == scene.RING_3):
            if now.ring != scene.RING_3 and now.mnemonic in ("sysret", "sysretq") and not canonical(now["rcx"]):
                bits = "bit 47 is set in it" if address >> 47 & 1 else "bit 47 is clear in it"
                bench.failed("return-syscall", "SYSRET was executed with an address in RCX that is not canonical; "
                             f"{bits}", now.address)
                return False
        target.run_to(program["_start"])        # the task died in ring 3
    return True


def legal_address(bench: Bench, target: Target, program: Program) -> None:
    """An address in the last page of user space, in a frame."""
    address = LAST_BYTE - bench.random.randrange(0x1000)
    frame = to_user_return(bench, target, program)
    scene.write_frame(target, frame, {"rip": address})
    if not leave_user_return(target, program):
        bench.failed("return-legal", "a task was ended whose return address lies in the last page of user space")
    else:
        last = way_out(target)[-1]
        if last["pc"] != address:
            bench.failed("return-legal", "a task was to return to an address in the last page of user space, and came "
                         f"to {last['pc']:#x}" if canonical(last["pc"]) else "")
    bench.passed("return-legal")


def trap_flag(bench: Bench, target: Target, program: Program) -> None:
    frame = to_user_return(bench, target, program)
    flags = scene.read_frame(target, frame)["rflags"]
    scene.write_frame(target, frame, {"rflags": flags | scene.TF})
    if not leave_user_return(target, program):
        bench.failed("trap-flag", "a task was ended that has TF set")
        return
    for now in follow(target, leaves):
        pass
    if now.mnemonic != "iretq":
        bench.failed("trap-flag", "a program with TF set in its frame goes on by SYSRET", now.address)
    elif not target.read(now["rsp"] + FRAME_RFLAGS) & scene.TF:
        bench.failed("trap-flag", "a program had TF set when it made a system call, and has not behind it", now.address)
    else:       # it goes on without: a single step would lead into the kernel again
        target.write(now["rsp"] + FRAME_RFLAGS, target.read(now["rsp"] + FRAME_RFLAGS) & ~scene.TF)
        target.step()
    bench.passed("trap-flag")


def bad_frame(bench: Bench, target: Target, program: Program) -> None:
    """The selectors of a frame are damaged under the IRETQ that is to take them: no program can do it, so it stands for
    a mistake of the kernel's."""
    # With TF set a system call leaves by IRETQ; without the student's check of TF, an exception must do.
    iretq = to_iretq(bench, target, program)
    if not iretq:
        return
    pcr, which = scene.pcr_of(target), bench.random.choice(sorted(BAD_SELECTORS))
    target.set(gs_base=bench.random.getrandbits(46) & ~7)      # the program's own, whatever it is
    target.write(target["rsp"] + {"cs": FRAME_CS, "ss": FRAME_SS}[which], BAD_SELECTORS[which])
    place = target["pc"]
    target.step()
    try:
        for now in follow(target, lambda one: one.in_c or one.ring == scene.RING_3):
            pass
        if now["gs_base"] != pcr:
            bench.failed("iretq-fixup", f"IRETQ faulted in ring 0, and C runs with GS base {now['gs_base']:#x}, which "
                                        "is not this CPU's PCR", place)
        else:
            target.run_to(program["_start"])
            bench.passed("iretq-fixup")
    except Ended as ended:
        bench.failed("iretq-fixup", f"IRETQ to ring 3 faulted, and then: {ended.text}", place, cause=ended.cause)


def to_iretq(bench: Bench, target: Target, program: Program) -> bool:
    """The next task begins: it comes to ring 3 by IRETQ, on every way that there is. Stands before it, then."""
    target.set(rip=program["fault"])            # this one dies, so that it is the next one's turn
    target.run_to(bench.code.symbol("user_return"))
    while True:
        stay(bench, target)
        if not leave_user_return(target, program):
            return False
        for now in follow(target, lambda one: one.ring == scene.RING_3 or one.mnemonic == "iretq"
                          and target.read(one["rsp"] + FRAME_CS) & 3 == scene.RING_3):
            pass
        if now.ring != scene.RING_3:
            return True
        target.run_to(bench.code.symbol("user_return"))
