# Starts Bochs as a ringstep machine: writes its configuration, reads COM1 through a pipe, reads its end.
# Called by tools/boot; the debugger's driver starts Bochs with the same configuration.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import fcntl
import os
import re
import subprocess
from pathlib import Path

from . import display
from .records import bochs_fault
from .run import End, Machine, MachineError, Request, require, start
from .witness import BochsWitness

DEFAULT_CPU = "corei7_skylake_x"    # SMEP, SMAP, FSGSBASE, x2APIC; neither UMIP nor shadow stacks
MOST_CPUS = 15                      # Bochs 2.7 runs out of timers with 16
MOST_HOST_MEMORY = 2048             # MiB that Bochs keeps in memory; the rest goes to a file
# One million instructions a second of guest time, the fewest that Bochs takes: BIOS and GRUB wait about 3.3
# guest seconds, so a faster guest only waits for more instructions.
SPEED = 1000000
AFTERWARDS = "afterwards"
BIOS = Path("/usr/share/bochs/BIOS-bochs-latest")
VGA_BIOS = Path("/usr/share/bochs/VGABIOS-lgpl-latest")
CONFIGURATION = """\
memory: guest={memory}, host={host_memory}
cpu: model={model}, count={cpus}, ips={speed}, reset_on_triple_fault=0
romimage: file={bios}
vgaromimage: file={vga_bios}
ata0-master: type=cdrom, path="{iso}", status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev="{console}"
display_library: {display}
sound: driver=dummy
clock: sync=none
log: "{log}"
panic: action=fatal
error: action=report
info: action=report
"""


def configuration(request: Request) -> str:
    """The text of a bochsrc for a run."""
    return CONFIGURATION.format(
        memory=request.memory, host_memory=min(request.memory, MOST_HOST_MEMORY),
        model=request.cpu_model or DEFAULT_CPU, cpus=request.cpus, speed=SPEED, bios=BIOS, vga_bios=VGA_BIOS,
        iso=request.iso, console=request.folder / "com1", display=display.choose(request.screen),
        log=request.folder / "bochs.log",
    )


def cpu_models(bochs: str) -> list[str]:
    """The names that this Bochs knows."""
    done = subprocess.run([bochs, "--help", "cpu"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    listing = done.stdout.split("Supported CPU models:")[-1]
    return re.findall(r"^([a-z0-9]+(?:_[a-z0-9]+)*)$", listing, re.MULTILINE)


def program() -> str:
    """Bochs' path, if all that it needs is there."""
    bochs = require("bochs", "bochs")
    for rom, package in ((BIOS, "bochsbios"), (VGA_BIOS, "vgabios")):
        if not rom.exists():
            raise MachineError(f"Bochs' {rom} is not installed. Debian and Ubuntu have it in the package {package}: "
                               f"sudo apt-get install {package}")
    return bochs


def check(request: Request) -> None:
    """Refuses what Bochs cannot do, in words, before it panics over it."""
    bochs = program()
    display.choose(request.screen)
    if not 1 <= request.cpus <= MOST_CPUS:
        raise MachineError(f"Bochs has 1 to {MOST_CPUS} CPUs, not {request.cpus}")
    if request.topology:
        raise MachineError("--topology works with QEMU")
    if request.gdb:
        raise MachineError("--gdb works with QEMU: Bochs has a debugger of its own (make step)")
    if request.icount:
        raise MachineError("--icount works with QEMU: Bochs counts instructions anyway")
    if request.firmware != "bios":
        raise MachineError("Bochs boots by BIOS only; --firmware efi works with QEMU")
    if request.interactive:
        raise MachineError("Bochs takes no input from the terminal")
    if request.cpu_model and request.cpu_model not in cpu_models(bochs):
        raise MachineError(f"Bochs has no CPU model '{request.cpu_model}'. It has: {', '.join(cpu_models(bochs))}")


def run(request: Request) -> Machine:
    """Starts Bochs."""
    console = open_console(request.folder / "com1")
    (request.folder / "bochsrc").write_text(configuration(request))
    # The kernel that ended well stops in the debugger (port 0x8900), which reads its next command here. A machine that
    # hangs is interrupted, and then there is something in the file of commands that comes in between.
    (request.folder / "commands").write_text(f'c\nsource {AFTERWARDS}\nq\n')
    (request.folder / AFTERWARDS).write_text("")
    process = launch(request)
    witness = BochsWitness(request, process, again) if request.explain else None
    return Machine(process, console, lambda code: judge(code, request.folder), witness=witness)


def again(request: Request, log: str) -> subprocess.Popen:
    """The same run once more, which Bochs repeats to the instruction, with a log of every exception."""
    debugging = ", ".join(f"cpu{number}=report" for number in range(request.cpus))
    text = configuration(request).replace(f'log: "{request.folder / "bochs.log"}"', f'log: "{log}"')
    (request.folder / "bochsrc").write_text(text + f"debug: action=ignore, {debugging}\n")
    return launch(request, pass_fds=(int(log.rpartition("/")[2]),))


def launch(request: Request, **options) -> subprocess.Popen:
    with open(request.folder / "screen", "wb") as screen:
        process = start(
            [program(), "-q", "-f", "bochsrc", "-rc", "commands"], cwd=request.folder, stdin=subprocess.DEVNULL,
            stdout=screen, stderr=subprocess.STDOUT, start_new_session=True,
            env={**display.environment(request), "TERM": "xterm"}, **options,
        )
    display.attend(request, process.pid)
    return process


def open_console(path: Path) -> int:
    """COM1 is a named pipe: Bochs believes that it is a file, and what it writes is here at once. We open it first,
    so that Bochs does not wait for a reader."""
    os.mkfifo(path)
    console = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(console, fcntl.F_SETFL, os.O_RDONLY)
    return console


def judge(code: int, folder: Path) -> tuple[End, str]:
    """What Bochs' exit code and its last words say of the kernel."""
    if code == 0:
        return End.WELL, ""
    log, screen = (path.read_text(errors="replace") if path.exists() else ""
                   for path in (folder / "bochs.log", folder / "screen"))
    if "Shutdown port: shutdown requested" in log:
        return End.FAILED, "the kernel panicked, or a self-test failed"
    fault = bochs_fault(log)
    if fault:
        return End.FAILED, f"the machine reset: a triple fault on CPU {fault.cpu} at rip 0x{fault.registers['rip']:016x}"
    panic = re.findall(r">>PANIC<< (.*)", log)
    if panic:
        return End.FAILED, f"Bochs gave up: {panic[-1]}"
    refusal = re.search(r"Bochs is exiting with the following message:\n(.*)", screen)
    return End.NOT_STARTED, f"Bochs ended with code {code}: {refusal[1] if refusal else 'it does not say why'}"
