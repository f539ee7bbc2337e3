# Starts QEMU as a ringstep machine: COM1 on a pipe, a device through which the kernel ends it, nothing on screen.
# Called by tools/boot.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import subprocess
from pathlib import Path

from .run import End, Machine, MachineError, Request, require, start
from .witness import QemuWitness

DEFAULT_CPU = "max,la57=off"    # the kernel has four levels of page tables
MOST_CPUS = 255
# The kernel writes 0x10 or 0x11 to port 0xf4, and QEMU exits with twice that plus one.
ENDED_WELL = 0x10 * 2 + 1
FAILED = 0x11 * 2 + 1
FIRMWARE = ("/usr/share/ovmf/OVMF.fd", "/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_CODE.fd",
            "/usr/share/edk2/x64/OVMF.4m.fd", "/usr/share/edk2-ovmf/x64/OVMF.fd")


def program() -> str:
    return require("qemu-system-x86_64", "qemu-system-x86")


def cpu_models(qemu: str) -> list[str]:
    """The names that this QEMU knows."""
    text = subprocess.run([qemu, "-cpu", "help"], stdout=subprocess.PIPE, text=True, check=True).stdout
    models = text.split("Recognized CPUID flags")[0].splitlines()
    return [words[1] for words in map(str.split, models) if len(words) > 1 and words[0] == "x86"]


def check(request: Request) -> None:
    """Refuses what QEMU cannot do, in words."""
    qemu = program()
    if request.screen:
        raise MachineError("--screen works with Bochs; QEMU's machine has no screen here, and COM1 says the same")
    if not 1 <= request.cpus <= MOST_CPUS:
        raise MachineError(f"QEMU's PC has 1 to {MOST_CPUS} CPUs, not {request.cpus}")
    name = request.cpu_model.split(",")[0]
    if name and name not in cpu_models(qemu):
        raise MachineError(f"QEMU has no CPU model '{name}'. It has: {', '.join(cpu_models(qemu))}")


def firmware_image() -> str:
    for path in FIRMWARE:
        if Path(path).is_file():
            return path
    raise MachineError("OVMF, the EFI firmware for QEMU, is not installed. Debian and Ubuntu have it in the "
                       "package ovmf: sudo apt-get install ovmf")


def log_of(request: Request) -> Path:
    """Where QEMU notes a triple fault; its exit code alone does not tell one from Ctrl-A X."""
    return request.folder / "qemu.log"


def command(request: Request, log: tuple[str, ...] = ()) -> list[str]:
    """The command line. What is not here is QEMU's default, and so the same on every host."""
    words = [
        program(), "-nodefaults", "-no-user-config", "-display", "none", "-vga", "std", "-accel", "tcg",
        "-cpu", request.cpu_model or DEFAULT_CPU, "-smp", f"cpus={request.cpus},{request.topology}".rstrip(","),
        "-m", f"{request.memory}M",
        "-cdrom", str(request.iso), "-boot", "d", "-no-reboot",
        *(log or ("-d", "cpu_reset", "-D", str(log_of(request)))),
        "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
        "-serial", "mon:stdio" if request.interactive else "stdio",
    ]
    if request.icount:
        words += ["-icount", "shift=4,sleep=off"]
    if request.firmware == "efi":
        words += ["-bios", firmware_image()]
    if request.gdb:
        words += ["-S", "-chardev", f"socket,id=gdb,path={request.gdb},server=on,wait=off", "-gdb", "chardev:gdb"]
    return words


def run(request: Request) -> Machine:
    """Starts QEMU."""
    # QEMU's own words (most: warnings that TCG lacks a feature of the CPU model) are shown only if it does not start.
    # Reading the terminal needs its foreground group; otherwise QEMU must not see the Ctrl-C that is meant for us.
    witness = QemuWitness(request.cpus) if request.explain else None
    with open(request.folder / "words", "wb") as words:
        process = start(
            command(request, witness.options() if witness else ()), stdout=subprocess.PIPE, stderr=words,
            stdin=None if request.interactive else subprocess.DEVNULL, start_new_session=not request.interactive,
            pass_fds=witness.handed_over() if witness else (),
        )
    if witness:
        witness.started()
    files = [request.gdb] if request.gdb else []
    return Machine(process, process.stdout.fileno(), lambda code: judge(code, request, witness), files, witness)


def judge(code: int | None, request: Request, witness: QemuWitness | None = None) -> tuple[End, str]:
    """What QEMU's exit code, and its log, say of the kernel."""
    if code is None:
        return End.FAILED, witness.reason()
    if code == ENDED_WELL:
        return End.WELL, ""
    if code == FAILED:
        return End.FAILED, "the kernel panicked, or a self-test failed"
    if code == 0:
        log = log_of(request)
        if log.exists() and "Triple fault" in log.read_text(errors="replace"):
            return End.FAILED, "the machine reset: a triple fault"
        if request.interactive:         # by Ctrl-A X
            return End.WELL, "QEMU ended"
        return End.FAILED, "the machine reset or was switched off, and not as the kernel does it"
    if code < 0:
        return End.FAILED, f"QEMU was killed by signal {-code}"
    words = (request.folder / "words").read_text(errors="replace").strip()
    return End.NOT_STARTED, f"QEMU ended with code {code}: {words}"
