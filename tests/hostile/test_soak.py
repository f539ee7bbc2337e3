# A short soak, as `make soak` does it for long; and kernels with one mistake each, which it must find.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import re
import signal
import subprocess
import sys

import pytest
from claims.changes import variant
from harness import ROOT, children, unread, wait_until

SOAK = [sys.executable, str(ROOT / "tools/soak")]
GOOD = re.compile(r"^soak: [\d.]+ minutes, 4 runs: [\d,]+ programs \(.*\), ([\d,]+) switches, [\d,]+ ticks; "
                  r"nothing wrong$", re.MULTILINE)
STATE = "kernel/user_state.c"
BROKEN = {
    "FPU not switched": ((STATE, ('    __asm__ volatile("fxrstor64 %0" : : "m"(state->fpu));\n', "")),
                         r"soak: .* should be 0x"),
    "GS base not restored": ((STATE, ("        wrmsr(MSR_KERNEL_GS_BASE, state->gs_base);", "        (void)0;")),
                             r"soak: .* GS base should be 0x|\(soak .*\) ended with status 139"),
    "FS base not restored": ((STATE, ("        wrmsr(MSR_FS_BASE, state->fs_base);", "        (void)0;")),
                             r"soak: .* FS base should be 0x|\(soak .*\) ended with status 139"),
    "DF lost on the way back": (("kernel/user_return.c", ("frame->rflags & RFLAGS_USER)",
                                                          "frame->rflags & RFLAGS_USER & ~RFLAGS_DF)")),
                                r"soak: (?:r11|rflags) should be 0x"),
    "a frame leaked": (("kernel/task.c", ("    frame_free(virt_to_phys(task));",
                                          "    if (task->id % 4)\n        frame_free(virt_to_phys(task));")),
                       r"account: \d+ of \d+ frames are back"),
    "a stack leaked": (("kernel/task.c", ("    if (task->kernel_stack_top)\n        kernel",
                                          "    if (task->kernel_stack_top && task->id % 4)\n        kernel")),
                       r"account: .* stacks are in use"),
}


def soak(*words: str, timeout: int = 500) -> subprocess.CompletedProcess:
    return subprocess.run([*SOAK, *words], cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=timeout)


@pytest.mark.heavy
def test_half_a_minute():
    """1, 2, 4 and 8 CPUs, so long that each program is switched to many times."""
    done = soak("--runs", "4", "--run-seconds", "5")
    found = GOOD.search(done.stdout)
    assert done.returncode == 0 and found, done.stdout + done.stderr
    assert int(found[1].replace(",", "")) > 1000


@pytest.mark.heavy
@pytest.mark.parametrize("name", BROKEN)
def test_finds(name):
    """What it says is what is wrong, with the command that repeats it."""
    (file, *changes), complaint = BROKEN[name]
    broken = variant("soak-" + name.replace(" ", "-"), "05", file, *changes)
    done = soak("--runs", "1", "--run-seconds", "2", "--cpus", "2", "--layer", broken)
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(rf"WRONG: .*(?:{complaint})", done.stdout), done.stdout
    assert "once more: tools/soak --runs 1 --seed 1 --cpus 2 " in done.stdout


def test_ctrl_c_leaves_nothing():
    """Also where the signal comes to tools/soak alone, and not to all of its group as from a terminal."""
    process = subprocess.Popen([*SOAK, "--run-seconds", "30"], cwd=ROOT, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    try:
        boots = wait_until(lambda: [pid for child in children(process.pid) for pid in children(child)], 60)
        assert boots, "no emulator was started"
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert wait_until(lambda: not any(children(pid) for pid in boots))
    finally:
        process.kill()
        process.communicate()


def test_a_reader_that_goes_is_no_error():
    """(Seen to fail: it ended with a traceback.)"""
    done = unread(*SOAK, "--runs", "1", "--run-seconds", "0.1", "--cpus", "1", timeout=300)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")


@pytest.mark.parametrize("words, message", [
    (["--cpus", "0"], "--cpus takes numbers from 1 to 64"), (["--cpus", "two"], "not 'two'"),
    (["--minutes", "0"], "must be above 0"), (["--runs", "0"], "must be above 0"),
    (["--runs", "-1"], "must be above 0"), (["--minutes", "long"], "invalid float value")])
def test_bad_arguments(words, message):
    done = soak(*words)
    assert done.returncode == 2 and message in done.stderr
