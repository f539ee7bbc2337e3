# The sandboxes, with real commands: what these cannot read, write or reach, the limits, and that nothing is left of
# them.
# Seen to fail: with the sandbox none in place of the others; with each limit taken out of base.py, or that of processes
# four times as high; without each flag of bwrap that closes something, but --unshare-cgroup-try and --cap-drop, after
# which setpriv comes; without end_all(), clean(), its name spaces and the death with the grader in keeper.py.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import functools
import os
import pwd
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from grading.sandbox import Limits, SandboxError, base, choose, users
from harness import ROOT, wait_until

BUBBLEWRAP = pytest.param("bubblewrap", marks=pytest.mark.needs("bubblewrap"))
USER = pytest.param("user", marks=pytest.mark.needs("root"))
BOTH = pytest.mark.parametrize("name", [BUBBLEWRAP, USER])
ALL = pytest.mark.parametrize("name", [BUBBLEWRAP, USER, "none"])


@functools.cache
def chosen(name: str):
    """One of each for all tests: a sandbox has a user id of its own as long as its process lives."""
    return choose(name)


@pytest.fixture
def box(name):
    return chosen(name)


@pytest.fixture
def folder():
    """Below /tmp itself: pytest's own folders are closed to other users."""
    with tempfile.TemporaryDirectory(prefix="ringstep-test-") as path:
        os.chmod(path, 0o711)
        (Path(path) / "work").mkdir()
        yield Path(path) / "work"


@pytest.fixture
def more_groups():
    """As somebody has who has become root."""
    groups = os.getgroups()
    os.setgroups([0, *groups])
    yield
    os.setgroups(groups)


def run(box, folder: Path, command: str, seconds: float = 60, **options) -> tuple[int, str, str]:
    """Exit code, what was printed, and the limit that ended it."""
    process = box.start(["sh", "-c", command], folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                        errors="replace", **options)
    try:
        output, _ = process.communicate(timeout=seconds)
    finally:
        process.kill()
        process.wait()
    return process.returncode, output, process.over


def processes(word: str, arguments: int | None = None) -> list[int]:
    """Those with that word as an argument, and so many arguments if that is said."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")[:-1] if entry.name.isdigit() else []
            if word.encode() in words and arguments in (None, len(words)):
                found.append(int(entry.name))
        except OSError:
            pass
    return found


@ALL
def test_writes_in_its_folder_alone(box, folder):
    (folder / "given").write_text("given\n")
    (folder / "sub").mkdir()
    code, output, _ = run(box, folder, "pwd; cat given; echo more >> given && mkdir made && echo x > sub/new && "
                          "exec 3>$TMPDIR/t && rm $TMPDIR/t && echo done")
    assert (code, output) == (0, f"{folder}\ngiven\ndone\n")
    assert (folder / "given").read_text() == "given\nmore\n"
    # What one command has made another can change, though it is another user.
    assert run(box, folder, "echo y >> sub/new && rmdir made && rm given")[0] == 0


@BOTH
def test_system_is_read_only(box, folder):
    folders = ["", "/usr", "/etc", "/bin", "/dev", "/var", Path.home(), Path.home().parent]
    for path in [*(f"{place}/x".replace("//", "/") for place in folders), "/proc/sys/kernel/hostname"]:
        code, output, _ = run(box, folder, f"echo x > {path}")
        assert code != 0 and not (Path(path).exists() and path.endswith("/x")), (path, output)


@BOTH
@pytest.mark.parametrize("how", ["cat {}", "ls {}", "ln -s {0} l; cat l", "ln {0} h; cat h",
                                 "echo '.incbin \"{}\"' | gcc -c -o o -x assembler - && cat o",
                                 "echo '#include \"{}\"' | gcc -E -", "ld -o o -T {}"])
def test_a_secret(box, folder, how):
    """By the compiler's ways too."""
    secret = folder.parent / "secret"
    secret.write_text("it is 4711\n")
    secret.chmod(0o600)
    assert "4711" not in run(box, folder, how.format(secret))[1]


@pytest.mark.needs("bubblewrap")
def test_bubblewrap_hides_what_all_may_read(folder):
    box = chosen("bubblewrap")
    secret = folder.parent / "secret"
    secret.write_text("it is 4711\n")
    output = run(box, folder, f"cat {secret} {ROOT}/Makefile /etc/passwd; "
                              f"ls {Path.home()} {ROOT.parent} {folder.parent}; ls /")[1]
    assert "4711" not in output and "root:" not in output and "Makefile" not in output.replace(f"{ROOT}/Makefile", "")
    assert {"root", "home", "var", "srv", "mnt", "boot"}.isdisjoint(output.split("\n")[-15:])
    assert run(box, folder, f"cat {secret}", read=(secret,))[1] == "it is 4711\n"
    assert run(box, folder, f"echo x >> {secret}", read=(secret,))[0] != 0
    assert box.hides(secret) and box.hides(ROOT / "tools") and not box.hides(Path("/usr/bin"))
    assert Path("/proc/self/cmdline").read_text() not in run(box, folder, "cat /proc/[0-9]*/cmdline")[1]
    (folder / "link").symlink_to("/usr/bin")
    assert not box.hides(folder / "link")


@pytest.mark.needs("bubblewrap")
def test_bubblewrap_mounts_read_only(folder):
    """Whoever the command is: a file's mode is not all that protects it."""
    read = folder.parent / "read"
    read.mkdir()
    mounts = run(chosen("bubblewrap"), folder, "cat /proc/mounts", read=(read,))[1].splitlines()
    writable = {where for _, where, _, options, *_ in map(str.split, mounts) if "rw" in options.split(",")}
    assert str(folder) in writable and "/" not in writable
    assert all(where.startswith(("/proc", "/dev/", "/tmp", str(folder))) for where in writable), writable
    assert str(read) not in writable


@pytest.mark.needs("root")
def test_user_says_what_it_does_not_hide(folder, more_groups):
    box = chosen("user")
    secret = folder.parent / "secret"
    secret.write_text("")
    for mode in (0o644, 0o642):
        secret.chmod(mode)
        assert not box.hides(secret)
    assert not box.hides(folder.parent)         # only to be gone through: to whoever knows a name in it
    secret.chmod(0o640)
    assert box.hides(secret)
    folder.parent.chmod(0o700)
    secret.chmod(0o666)
    assert box.hides(secret)


@pytest.mark.needs("root")
def test_user_leaves_nothing_where_all_may_write(folder):
    box = chosen("user")
    places = [Path(place) for place in ("/tmp", "/var/tmp", "/dev/shm", "/run/lock")]
    left = [place / "ringstep-left" for place in places if place.is_dir()]
    left.append(folder.parent.with_name(folder.parent.name[:-1]))       # it begins as the work folder's path does
    with tempfile.NamedTemporaryFile(prefix="ringstep-test-") as ours:
        run(box, folder, f"mkdir -p {left[0]}/deep && tee {' '.join(map(str, left[1:]))} </dev/null && touch written; "
                         "sleep 999 &")
        assert Path(ours.name).exists()
    assert (folder / "written").exists() and not [path for path in left if path.exists()]


@BOTH
def test_no_network(box, folder):
    """Not even this machine's own."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        program = f"import socket; socket.create_connection(('127.0.0.1', {port}), 5)"
        subprocess.run([sys.executable, "-c", program], check=True)     # it is there
        code, output, _ = run(box, folder, f'/usr/bin/python3 -c "{program}"')
    assert code != 0 and ("refused" in output or "unreachable" in output), output


@BOTH
def test_name_spaces(name, box, folder):
    """There is nothing that a command shares with us by which it could reach us."""
    links = [f"/proc/self/ns/{word}" for word in
             {"bubblewrap": ("ipc", "mnt", "net", "pid", "uts"), "user": ("ipc", "net")}[name]]
    theirs = run(box, folder, f"readlink {' '.join(links)}")[1].split()
    assert len(theirs) == len(links) and not {*theirs} & {*map(os.readlink, links)}


@ALL
def test_not_our_session(box, folder):
    """In ours it could write to our terminal, as if we had typed it. 0 is a session that began outside."""
    assert run(box, folder, "cut -d ' ' -f 6 /proc/self/stat")[1].strip() not in ("0", str(os.getsid(0)))


@BOTH
def test_sees_no_environment(box, folder, monkeypatch):
    monkeypatch.setenv("TOKEN", "4711")
    assert "4711" not in run(box, folder, "env")[1]
    assert "MORE=1" in run(box, folder, "env", env={"MORE": "1"})[1]


@BOTH
def test_may_nothing(box, folder):
    """No capability, no way to get one by a program that is setuid, no other's process to signal."""
    output = run(box, folder, "grep -E 'Cap|NoNewPrivs' /proc/self/status; id -u")[1]
    for word in ("CapPrm", "CapEff", "CapAmb"):
        assert f"{word}:\t{0:016}" in output
    assert "NoNewPrivs:\t1" in output
    if os.geteuid() == 0:
        assert int(output.split()[-1]) in users.IDS
    assert run(box, folder, f"kill -0 {os.getpid()}")[0] != 0


@pytest.mark.needs("root")
@pytest.mark.parametrize("name", [BUBBLEWRAP, "user"])
def test_has_one_group(box, folder, more_groups):
    assert run(box, folder, "id -G")[1].split() == [str(box.group)]


@ALL
def test_memory(box, folder):
    """One process that maps too much is told so; one that fills too much is ended."""
    code, output, _ = run(box, folder, "/usr/bin/python3 -c 'bytearray(1 << 29)'", limits=Limits(address_space=256))
    assert code == 1 and "MemoryError" in output
    fill = "/usr/bin/python3 -c 'import time; x = bytearray(200 << 20); time.sleep(60)'"
    code, _, over = run(box, folder, fill, limits=Limits(memory=100))
    assert code != 0 and over == "more than 100 MiB of memory"


@ALL
def test_limits_of_the_kernel(name, box, folder):
    limits = Limits(address_space=3000, processes=50, cpu_seconds=7, file=3)
    output = run(box, folder, "cat /proc/self/limits", limits=limits)[1]
    found = dict(re.findall(r"^Max (.+?)  +(\S+ +\S+)", output, re.MULTILINE))
    wanted = {"address space": 3000 << 20, "cpu time": 7, "file size": 3 << 20, "core file size": 0, "open files": 1024,
              "locked memory": 1 << 20, "msgqueue size": 0, **({"processes": 50} if name != "none" else {})}
    assert {word: found[word].split() for word in wanted} == {word: [str(most)] * 2 for word, most in wanted.items()}
    if name == "none":      # it would count all that we run
        assert "50" not in found["processes"].split()


@BOTH
@pytest.mark.parametrize("how", [
    "import subprocess, threading; threading.Thread(target=subprocess.run, args=(['python3', 'fill'],)).start()",
    "import os; os.fork() or (os.fork() and os._exit(0)) or exec(open('fill').read())\nimport signal; signal.pause()",
    "open('/proc/self/comm', 'wb').write(b') \\xff 1 2'); exec(open('fill').read())"], ids=["thread", "orphan", "name"])
def test_memory_that_hides(box, folder, how):
    """In the child of a thread; in one whose parent has ended; behind a name that makes what the kernel says of a
    process hard to read."""
    (folder / "fill").write_text("import time; x = bytearray(200 << 20); time.sleep(60)")
    (folder / "hide").write_text(how)
    over = run(box, folder, "exec /usr/bin/python3 hide", limits=Limits(memory=100))[2]
    assert over == "more than 100 MiB of memory"


@BOTH
def test_memory_of_all_together(box, folder):
    fill = "/usr/bin/python3 -c 'import time; x = bytearray(60 << 20); time.sleep(60)'"
    assert run(box, folder, f"{fill} & {fill} & wait", limits=Limits(memory=100))[2] == "more than 100 MiB of memory"


@pytest.mark.heavy
@ALL
def test_cpu_time(box, folder):
    code, _, over = run(box, folder, "while :; do :; done", limits=Limits(cpu_seconds=1))
    assert code != 0
    code, _, over = run(box, folder, "for i in 1 2 3; do (while :; do :; done) & done; wait",
                        limits=Limits(cpu_seconds=2))
    assert code != 0 or over
    short = "while :; do sh -c 'i=0; while [ $i -lt 30000 ]; do i=$((i + 1)); done'; done"
    assert run(box, folder, short, limits=Limits(cpu_seconds=1))[2] == "more than 1 seconds of CPU time"


@ALL
def test_files(box, folder):
    code, output, _ = run(box, folder, "head -c 3M /dev/zero > a; stat -c %s a", limits=Limits(file=2))
    assert str(2 << 20) in output
    fill = "mkdir -p deep/er; for i in 1 2 3 4 5; do head -c 1M /dev/zero > deep/er/f$i; done; sleep 60"
    assert run(box, folder, fill, limits=Limits(file=2, disk=3))[2] == "more than 3 MiB of disk"


@BOTH
def test_empty_files(box, folder):
    """They fill a disk as well."""
    fill = "/usr/bin/python3 -c 'import time; [open(str(n), \"w\").close() for n in range(5000)]; time.sleep(60)'"
    assert run(box, folder, fill, limits=Limits(disk=1))[2] == "more than 1 MiB of disk"


@BOTH
def test_a_link_costs_nothing(box, folder):
    (folder / "system").symlink_to("/usr")
    assert run(box, folder, "sleep 0.5", limits=Limits(disk=3))[::2] == (0, "")


@pytest.mark.needs("bubblewrap")
def test_shared_memory_is_limited(folder):
    box = chosen("bubblewrap")
    assert run(box, folder, "head -c 80M /dev/zero > $TMPDIR/x")[0] != 0
    assert run(box, folder, "echo > /dev/shm/x")[0] != 0


BOMB = "import os\nwhile True:\n try: os.fork()\n except OSError: pass"


@BOTH
def test_fork_bomb(name, box, folder):
    """It stays within its number, and it ends at once."""
    bomb = f"{name}-bomb.py"
    (folder / bomb).write_text(BOMB)
    process = box.start(["/usr/bin/python3", bomb], folder, limits=Limits(processes=40))
    try:
        assert wait_until(lambda: len(processes(bomb)) >= 20)
        time.sleep(0.5)
        assert len(processes(bomb)) <= 45
    finally:
        process.kill()
        process.wait(10)
    assert wait_until(lambda: not processes(bomb))


@ALL
def test_killing_ends_all(name, box, folder):
    word = f"700.{len(name)}"
    process = box.start(["sh", "-c", f"sleep {word} & sleep {word} & wait"], folder)
    assert wait_until(lambda: len(processes(word)) >= 2)
    process.kill()
    assert process.wait(10) != 0
    assert wait_until(lambda: not processes(word))


@BOTH
def test_orphans_end(name, box, folder):
    """Those that have a session of their own, too, when the command itself is over."""
    word = f"702.{len(name)}"
    assert run(box, folder, f"setsid sh -c 'sleep {word} & sleep {word}' >/dev/null 2>&1 & sleep 0.2")[0] == 0
    assert wait_until(lambda: not processes(word))


@ALL
@pytest.mark.parametrize("arguments", [None, 2], ids=["at once", "later"])
def test_our_death_ends_all(name, folder, arguments):
    """At once, before bwrap has done all its work: the word is among its arguments. And when the command runs."""
    word = f"703.{len(name)}"
    program = (f"import sys, time; sys.path.insert(0, '{ROOT}/tools')\nfrom pathlib import Path\n"
               f"from grading.sandbox import choose\nchoose('{name}').start(['sleep', '{word}'], Path('{folder}'))\n"
               "time.sleep(99)")
    grader = subprocess.Popen(["/usr/bin/python3", "-c", program])
    try:
        assert wait_until(lambda: processes(word, arguments))
    finally:
        grader.send_signal(signal.SIGKILL)
        grader.wait()
    assert wait_until(lambda: not processes(word))


@ALL
def test_socket_from_outside(box, folder):
    """As the grader reaches QEMU's gdbstub."""
    program = ("import socket; s = socket.socket(socket.AF_UNIX); s.bind('gdb'); s.listen(); c, _ = s.accept(); "
               "c.sendall(b'hello')")
    process = box.start(["/usr/bin/python3", "-c", program], folder)
    try:
        assert wait_until((folder / "gdb").exists)
        with socket.socket(socket.AF_UNIX) as client:
            wait_until(lambda: client.connect_ex(str(folder / "gdb")) == 0)
            assert client.recv(10) == b"hello"
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()


@ALL
def test_exit_code_and_input(box, folder):
    assert run(box, folder, "cat; exit 7")[:2] == (7, "")
    assert run(box, folder, "kill -KILL $$")[0] in (-9, 137)
    read, write = os.pipe()
    with os.fdopen(write, "w") as file:
        file.write("words")
    assert run(box, folder, "cat", stdin=read)[:2] == (0, "words")
    os.close(read)


@pytest.mark.needs("root")
@pytest.mark.parametrize("name", [BUBBLEWRAP, "user"])
def test_no_two_users_are_the_same(box, folder):
    one, two = (box.start(["sh", "-c", "id -u; sleep 60"], folder, stdout=subprocess.PIPE, text=True) for _ in "ab")
    try:
        assert one.stdout.readline() != two.stdout.readline()
        other = choose(box.name)
        assert other.group != box.group
    finally:
        for process in (one, two):
            process.kill()
            process.wait()
            process.stdout.close()


@pytest.mark.needs("root")
@pytest.mark.parametrize("name", [BUBBLEWRAP, "user"])
def test_ids_are_given_back(box, folder, monkeypatch):
    """One is enough for all commands, one after the other, and for one that could not be started."""
    monkeypatch.setattr(users, "IDS", range(users.IDS.stop - 1, users.IDS.stop))

    def can_run() -> bool:
        try:
            return run(box, folder, "true")[0] == 0
        except SandboxError:
            return False
    for _ in range(3):
        assert wait_until(can_run)
    with pytest.raises(OSError):
        while True:
            try:
                box.start(["true"], folder, cwd="/nowhere")
            except SandboxError:
                time.sleep(0.02)
    assert wait_until(can_run)


@pytest.mark.needs("root")
def test_an_id_that_somebody_has_is_left_alone(monkeypatch):
    number, lock = users.claim()
    users.release(lock)
    root = pwd.getpwuid(0)
    monkeypatch.setattr(pwd, "getpwuid", {number: root}.__getitem__)
    another, lock = users.claim()
    users.release(lock)
    assert another != number


@pytest.mark.needs("root")
def test_another_submission_is_closed(folder):
    """Of the sandbox user, whose commands see the same files: what one has is nothing for the next."""
    box = choose("user")
    run(box, folder, "echo it is 4711 > mine; chmod 644 mine")
    other = folder.parent / "other"
    other.mkdir()
    box.separate()
    assert "4711" not in run(box, other, f"cat {folder}/mine; echo x > {folder}/mine")[1]
    assert (folder / "mine").read_text() == "it is 4711\n"


@pytest.mark.needs("root")
def test_giving_follows_no_link(folder):
    """A command may have left links to what is not its own."""
    secret = folder.parent / "secret"
    secret.write_text("x")
    secret.chmod(0o600)
    (folder / "link").symlink_to(secret)
    os.link(secret, folder / "hard")
    place = folder.parent / "place"
    place.mkdir()
    (place / "file").write_text("x")
    (folder / "folder").symlink_to(place)
    (folder / "once").symlink_to(place / "file")
    others = (secret, place, place / "file")
    before = [(path.stat().st_mode, path.stat().st_gid) for path in others]
    users.give(folder, users.IDS.start)
    assert [(path.stat().st_mode, path.stat().st_gid) for path in others] == before
    assert folder.stat().st_gid == users.IDS.start


def test_where_bubblewrap_is_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxError, match="not installed") as caught:
        choose("bubblewrap")
    assert all(word in str(caught.value) for word in ("apt-get install bubblewrap", "--sandbox user", "--no-sandbox"))


def test_where_bubblewrap_is_forbidden(monkeypatch, tmp_path):
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace.' >&2; exit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setitem(base.ENVIRONMENT, "PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(SandboxError, match="cannot be used here: bwrap: No permissions"):
        choose("bubblewrap")


def test_user_wants_root(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(SandboxError, match="root alone"):
        choose("user")


def test_no_such_sandbox():
    with pytest.raises(SandboxError, match="there are bubblewrap, user, none"):
        choose("jail")


@pytest.mark.needs("bubblewrap", "root")
def test_bubblewrap_without_root(folder):
    """As on an instructor's own machine: a name space of its own user, in which processes are counted."""
    folder.chmod(0o777)
    (folder / "bare-bomb.py").write_text(BOMB)
    tools = folder.parent / "grading/sandbox"
    tools.parent.mkdir()
    subprocess.run(["cp", "-rT", ROOT / "tools/grading/sandbox", tools], check=True)
    folder.parent.chmod(0o755)
    program = (f"import sys, time; sys.path.insert(0, '{tools.parent}')\nfrom pathlib import Path\n"
               f"import subprocess, sandbox\nbox = sandbox.choose()\n"
               f"p = box.start(['sh', '-c', 'echo x > made; ls /root /home; id -u; unshare -U true || echo closed'],"
               f" Path('{folder}'), stdout=subprocess.PIPE, text=True)\nprint(p.communicate()[0])\n"
               f"p = box.start(['/usr/bin/python3', 'bare-bomb.py'], Path('{folder}'),"
               f" limits=sandbox.Limits(processes=40))\n"
               f"time.sleep(1.5)\nprint('bombs', len(sandbox.base.descendants(p.pid)))\np.kill()\np.wait()")
    done = subprocess.run(["/usr/bin/python3", "-c", program], user=users.IDS.stop, group=users.IDS.stop,
                          extra_groups=[], capture_output=True, text=True, timeout=60)
    assert "closed" in done.stdout and str(users.IDS.stop) in done.stdout, done.stdout + done.stderr
    assert 20 < int(done.stdout.split("bombs")[1]) <= 45
    assert (folder / "made").exists()
    assert wait_until(lambda: not processes("bare-bomb.py"))
