# Starts Bochs inside the sandbox and reads the screen that it draws on a terminal of its own: when nobody reads there,
# Bochs waits for ever (tools/machine/display.py tells more). Bochs' standard input and output are the debugger's.
# bochs_target.py copies this file into the run's folder, since nothing else of the grader can be read in there.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
import tty

INTERRUPT = "interrupt"     # a file: the debugger is to come back to its prompt
PAUSE = 0.2


def screen_of(pid: int) -> int | None:
    """The number of the terminal that a process has opened, or None so far."""
    for link in os.listdir(f"/proc/{pid}/fd"):
        if os.readlink(f"/proc/{pid}/fd/{link}").endswith("ptmx"):
            with open(f"/proc/{pid}/fdinfo/{link}") as info:
                found = re.search(r"tty-index:\s*(\d+)", info.read())
            return int(found[1]) if found else None
    return None


def read_screen(pid: int) -> None:
    screen = None
    while screen is None:
        time.sleep(0.02)
        try:
            number = screen_of(pid)
            if number is not None:
                screen = os.open(f"/dev/pts/{number}", os.O_RDONLY | os.O_NOCTTY)
        except OSError:
            if not os.path.exists(f"/proc/{pid}"):
                return
    try:
        tty.setraw(screen)      # else the terminal waits for the end of a line
        while os.read(screen, 65536):
            pass
    except (OSError, tty.error):
        pass                    # Bochs has ended


def main() -> int:
    bochs = subprocess.Popen(sys.argv[1:])
    threading.Thread(target=read_screen, args=(bochs.pid,), daemon=True).start()
    while True:
        try:
            code = bochs.wait(PAUSE)
            break
        except subprocess.TimeoutExpired:
            if os.path.exists(INTERRUPT):
                os.unlink(INTERRUPT)
                bochs.send_signal(signal.SIGINT)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
