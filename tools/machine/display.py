# The screen of a Bochs machine. Bochs must draw it somewhere: its displays are plugins in packages of their own, and
# not every host has the same. Nobody needs to see it either: what the kernel prints comes by COM1. So by default any
# display will do that shows nothing; a person may ask for a window (--screen).
# Used by tools/machine/bochs.py and bochs_debugger.py. What it says of Bochs holds for 2.7.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import glob
import os
import re
import socket
import threading
import time
import tty
from pathlib import Path

from .run import MachineError, Request

PLUGINS = ("/usr/lib/*/bochs/plugins", "/usr/lib64/bochs/plugins", "/usr/lib/bochs/plugins")
# From the one that costs least. The terminal is one that Bochs opens for itself; SDL can draw into nothing; rfb is a
# server for VNC viewers, which insists on one; X wants a window.
HIDDEN = ("term", "nogui", "sdl2", "sdl", "rfb", "x")
WINDOWS = ("x", "sdl2", "sdl", "wx")
PATIENCE = 20           # seconds until Bochs has opened what it draws on


def installed() -> list[str]:
    """The displays that there are; all, where Bochs does not have them as plugins."""
    found = [path for pattern in PLUGINS for path in glob.glob(f"{pattern}/libbx_*_gui.so")]
    folders = [path for pattern in PLUGINS for path in glob.glob(pattern)]
    return sorted({re.search(r"libbx_(\w+)_gui", path)[1] for path in found}) if folders else list(HIDDEN)


def has_window_system() -> bool:
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def choose(wanted: str = "") -> str:
    """The display to use: the wanted one, or any that need not be seen."""
    there = installed()
    if wanted:
        if wanted not in there:
            raise MachineError(f"this Bochs has no display '{wanted}'; it has {', '.join(there)}. Debian and Ubuntu "
                               "have them in bochs-x, bochs-sdl and bochs-term")
        if wanted in WINDOWS and not has_window_system():
            raise MachineError(f"the display '{wanted}' wants a window system, and DISPLAY is not set; without "
                               "--screen none is needed")
        return wanted
    for name in HIDDEN:
        if name in there and (name != "x" or has_window_system()):
            return name
    raise MachineError("Bochs has no display that works without a window. Debian and Ubuntu have one in the package "
                       "bochs-term: sudo apt-get install bochs-term")


def environment(request: Request) -> dict[str, str]:
    """Bochs' environment. Without it SDL opens a window."""
    return dict(os.environ) if request.screen else {**os.environ, "SDL_VIDEODRIVER": "dummy"}


def attend(request: Request, pid: int) -> None:
    """Does for ever, in a thread, what the display needs of somebody. The text display draws on a terminal that Bochs
    opens for itself; when nobody reads there, its buffer is full after some pages, and Bochs waits and does not come
    back. And rfb gives up when no viewer comes."""
    display = choose(request.screen)
    if display == "term":
        threading.Thread(target=read_screen, args=(pid,), daemon=True).start()
    elif display == "rfb" and not request.screen:
        threading.Thread(target=view, args=(request.folder / "bochs.log",), daemon=True).start()


def open_screen(pid: int) -> int:
    """Opens the terminal as soon as it can be: Bochs makes it, and only then unlocks it. OSError: Bochs has ended."""
    while True:
        number = screen_terminal(pid)
        try:
            if number is not None:
                return os.open(f"/dev/pts/{number}", os.O_RDONLY | os.O_NOCTTY)
        except OSError:
            pass
        time.sleep(0.02)


def read_screen(pid: int) -> None:
    try:
        screen = open_screen(pid)
        try:
            tty.setraw(screen)      # else the terminal waits for the end of a line
            while os.read(screen, 65536):
                pass
        finally:
            os.close(screen)
    except (OSError, tty.error):
        pass                        # Bochs has ended


def screen_terminal(pid: int) -> int | None:
    """The number of the terminal that Bochs has opened for its screen, or None so far."""
    for link in Path(f"/proc/{pid}/fd").iterdir():
        if os.readlink(link).endswith("ptmx"):
            found = re.search(r"tty-index:\s*(\d+)", Path(f"/proc/{pid}/fdinfo/{link.name}").read_text())
            return int(found[1]) if found else None
    return None


def view(log: Path) -> None:
    """A viewer that asks for no picture. Source: RFC 6143, "The Remote Framebuffer Protocol", handshake."""
    deadline = time.monotonic() + PATIENCE
    port = None
    while not port and time.monotonic() < deadline:
        time.sleep(0.05)
        text = log.read_text(errors="replace") if log.exists() else ""
        port = re.search(r"listening for connections on port (\d+)", text)
    if not port:
        return
    try:
        with socket.create_connection(("127.0.0.1", int(port[1]))) as server:
            server.sendall(server.recv(12))     # the version that it offers
            server.recv(4)                      # no password
            server.sendall(b"\1")               # others may look as well
            while server.recv(65536):
                pass
    except OSError:
        pass                                    # Bochs has ended
