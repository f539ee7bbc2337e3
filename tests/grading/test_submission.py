# What is taken for a submission: folders and archives as students make them, and as somebody with bad intentions does.
# Seen to fail: with each of these taken out of archives.py and submission.py, one at a time: the tests of '..', of
# absolute names, of links, pipes and devices, of NUL bytes, of files that are there twice, and every MOST_...
# SPDX-License-Identifier: MIT
from __future__ import annotations

import gzip
import io
import lzma
import os
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest
from grading import archives
from grading.submission import Refused, digest, name_of, read_submission
from made_up import GOOD, LAB, write


def zipped(path: Path, files: dict[str, str | bytes], **more: object) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def tarred(path: Path, files: dict[str, str], mode: str = "w", extra: tuple[tarfile.TarInfo, ...] = ()) -> Path:
    with tarfile.open(path, mode) as archive:
        for info in extra:
            archive.addfile(info)
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    return path


def member(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def with_member(path: Path, name: str, kind: bytes, target: str = "") -> Path:
    return tarred(path, GOOD, extra=(member(name, kind, target),))


@pytest.fixture
def into(tmp_path) -> Path:
    """Where files are copied to; nothing may be written beside it."""
    folder = tmp_path / "jail/into"
    folder.mkdir(parents=True)
    yield folder
    assert [path.name for path in folder.parent.iterdir()] == ["into"]


def read(path: Path, into: Path):
    submission = read_submission(path, LAB, into)
    assert all(file.is_file() and not file.is_symlink() for file in submission.files.values())
    copied = [path.relative_to(into).as_posix() for path in into.rglob("*") if path.is_file()]
    assert sorted(copied) == sorted(submission.files)
    return submission


PREFIXES = ["", "./", "alice/", "./alice/", "stages/03-syscall-swapgs/", "ringstep-main/stages/03-syscall-swapgs/"]


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("form", ["folder", "zip", "tar", "tar.gz", "tar.xz"])
def test_where_files_may_lie(form, prefix, tmp_path, into):
    files = {prefix + name: text for name, text in GOOD.items()}
    path = tmp_path / f"alice.{form}"
    if form == "folder":
        write(path, files)
    elif form == "zip":
        zipped(path, files)
    else:
        tarred(path, files, {"tar": "w", "tar.gz": "w:gz", "tar.xz": "w:xz"}[form])
    submission = read(path, into)
    assert {name: file.read_text() for name, file in submission.files.items()} == GOOD
    assert submission.notes == []
    assert submission.name == ("alice.folder" if form == "folder" else "alice")


@pytest.mark.parametrize("prefix", ["", "alice/"])
def test_plain_names(prefix, tmp_path, into):
    submission = read(zipped(tmp_path / "x.zip", {f"{prefix}entry.S": "e", f"{prefix}pcr.h": "p"}), into)
    assert sorted(submission.files) == ["kernel/entry.S", "kernel/pcr.h"]


def test_a_name_in_another_folder(tmp_path, into):
    """A whole stage has files of the same names that are others."""
    submission = read(write(tmp_path / "x", {**GOOD, "test/entry.S": "other\n", "pcr.h": "other\n"}), into)
    assert submission.files["kernel/entry.S"].read_text() == "entry\n" and "2 files ignored" in submission.notes[0]


def test_windows_separators(tmp_path, into):
    path = zipped(tmp_path / "x.zip", {"lab\\kernel\\entry.S": "e", "lab\\kernel\\pcr.h": "p"})
    assert len(read(path, into).files) == 2


def test_everything_else_is_ignored(tmp_path, into):
    """With one short note; of other stages and of a starter, too, and of a challenge that is not tried."""
    others = {name: "x" for name in ("README.md", "kernel/main.c", "stages/02-gs-pcr/kernel/pcr.h", "kernel/kpti.c",
                                     "a/b/c/kernel/entry.S", "a/b/stages/03-syscall-swapgs/kernel/pcr.h",
                                     "__MACOSX/kernel/._entry.S", "bad\nname\x1b[2J")}
    submission = read(tarred(tmp_path / "x.tar", {**others, **GOOD}), into)
    assert sorted(submission.files) == sorted(GOOD)
    note, = submission.notes
    assert note.startswith("8 files ignored") and note.endswith("and 5 more")
    assert note.count(", ") == 3 and len(note) < 200


def test_names_in_the_note_are_harmless(tmp_path, into):
    note, = read(tarred(tmp_path / "x.tar", {"bad\nname\x1b[2J": "", **GOOD}), into).notes
    assert "bad\\nname\\x1b[2J" in note
    os.mkdir(os.fsencode(tmp_path) + b"/folder")
    open(os.fsencode(tmp_path) + b"/folder/\xff\xfe", "w").close()
    note, = read(write(tmp_path / "folder"), into).notes
    note.encode()


def test_links_elsewhere_are_ignored(tmp_path, into):
    """Such as those of build/NN/src in a whole tree."""
    link = member("build/03/src/kernel/entry.S", tarfile.SYMTYPE, "/etc/passwd")
    read(tarred(tmp_path / "x.tar", GOOD, extra=(link,)), into)


def test_challenge(tmp_path, into):
    files = {**GOOD, "kernel/kpti.c": "k", "challenges/kpti": ""}
    assert sorted(read(write(tmp_path / "x", files), into).files) == sorted(files)


def test_folders_that_are_skipped(tmp_path, into):
    """What was built and what git keeps has copies of the files."""
    read(write(tmp_path / "x", {**GOOD, "build/kernel/entry.S": "old", ".git/kernel/entry.S": "old"}), into)


def test_digest(tmp_path):
    one, same = write(tmp_path / "x"), zipped(tmp_path / "y.zip", {**GOOD, "README": ""})
    letter = write(tmp_path / "z", {**GOOD, "kernel/pcr.h": "PCR\n"})
    swapped = write(tmp_path / "w", {"kernel/entry.S": "pcr\n", "kernel/pcr.h": "entry\n"})
    digests = [digest(read_submission(path, LAB, tmp_path / f"into{number}"))
               for number, path in enumerate((one, same, letter, swapped))]
    assert digests[0] == digests[1] and len(set(digests)) == 3


@pytest.mark.parametrize("name", ["alice.zip", "alice.tar.gz", "alice.TGZ", "alice.tar", "alice.txz", "alice"])
def test_name(name):
    assert name_of(Path("/x") / name) == "alice"


def test_name_of_where_one_is(tmp_path, monkeypatch):
    (tmp_path / "alice").mkdir()
    monkeypatch.chdir(tmp_path / "alice")
    assert name_of(Path(".")) == "alice"


def symlink_zip(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("kernel/entry.S")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
        archive.writestr("kernel/pcr.h", "")
    return path


def encrypted_zip(path: Path) -> Path:
    """The flag is enough to be asked for a password."""
    data = bytearray(zipped(path, GOOD).read_bytes())
    at = 0
    for magic, flag in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = -1
        while (at := data.find(magic, at + 1)) >= 0:
            data[at + flag] |= 1
    path.write_bytes(data)
    return path


def damaged(path: Path, at: int) -> Path:
    data = bytearray(path.read_bytes())
    data[at] ^= 0xFF
    path.write_bytes(data)
    return path


def cut(path: Path, size: int) -> Path:
    path.write_bytes(path.read_bytes()[:size])
    return path


def with_hard_link(folder: Path) -> Path:
    write(folder)
    (folder / "kernel/entry.S").unlink()
    secret = folder.parent / "secret"
    secret.write_text("secret")
    os.link(secret, folder / "kernel/entry.S")
    return folder


def with_pipe(folder: Path) -> Path:
    write(folder)
    (folder / "kernel/entry.S").unlink()
    os.mkfifo(folder / "kernel/entry.S")
    return folder


def with_symlink(folder: Path, name: str, target: str) -> Path:
    write(folder, {"kernel/pcr.h": ""})
    path = folder / name
    if path.is_dir():
        path.rename(folder / "elsewhere")
    path.symlink_to(target)
    return folder


def sparse_tar(path: Path) -> Path:
    info = member("kernel/entry.S", tarfile.REGTYPE)
    info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "kernel/entry.S",
                        "GNU.sparse.realsize": "1000"}
    info.size = 512
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(info, io.BytesIO(b"1\n0\n512\n".ljust(512, b"\0")))
    return path


def huge_header(path: Path) -> Path:
    """A tar whose long name is said to have 8 GiB."""
    info = member("././@LongLink", tarfile.GNUTYPE_LONGNAME)
    info.size = 8 ** 11 - 1
    path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + b"a" * 4096)
    return path


def truncated_list(path: Path) -> Path:
    """A zip that claims to have a list of its entries of 4 GiB."""
    data = zipped(path, GOOD).read_bytes()
    at = data.rfind(b"PK\5\6")
    path.write_bytes(data[:at + 12] + b"\xf0\xff\xff\xff" + data[at + 16:])
    return path


def list_by_zip64(path: Path) -> Path:
    """One that claims it in the record of a zip64 alone, which counts more."""
    data = zipped(path, GOOD).read_bytes()
    at = data.rfind(b"PK\5\6")
    record = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 2, 2, 1 << 32, 0)
    return bytes_at(path, data[:at] + record + struct.pack("<4sLQL", b"PK\6\7", 0, at, 1) + data[at:])


NASTY = "\x1b[2J" + "x" * 400      # a name that a terminal would obey, and that is long
REFUSED = {
    "nothing": (lambda t: t / "nowhere", "is not there"),
    "empty folder": (lambda t: write(t / "x", {}) if (t / "x").mkdir() else t / "x",
                     "kernel/entry.S and kernel/pcr.h are not there"),
    "missing file": (lambda t: write(t / "x", {"kernel/entry.S": ""}), "kernel/pcr.h is not there"),
    "a text": (lambda t: write(t, {"x.zip": "hello"}) / "x.zip", "neither a folder, nor a zip"),
    "an empty file": (lambda t: write(t, {"x.zip": ""}) / "x.zip", "neither a folder, nor a zip"),
    "a device": (lambda t: Path("/dev/zero"), "neither a folder nor a file"),
    "zip: ..": (lambda t: zipped(t / "x.zip", {"../kernel/entry.S": "", **GOOD}), "leads out"),
    "zip: absolute": (lambda t: zipped(t / "x.zip", {"/etc/cron.d/x": "", **GOOD}), "leads out"),
    "zip: drive": (lambda t: zipped(t / "x.zip", {"C:\\x": "", **GOOD}), "leads out"),
    "zip: link": (lambda t: symlink_zip(t / "x.zip"), "is a symbolic link"),
    "zip: encrypted": (lambda t: encrypted_zip(t / "x.zip"), "is encrypted"),
    "zip: twice": (lambda t: zipped(t / "x.zip", {**GOOD, "a/kernel/entry.S": ""}), "is there twice"),
    "zip: mixed": (lambda t: zipped(t / "x.zip", {"kernel/entry.S": "", "test/pcr.h": ""}),
                   "kernel/pcr.h is not there"),
    "zip: damaged": (lambda t: damaged(zipped(t / "x.zip", GOOD), 46), "cannot be read"),
    "zip: cut": (lambda t: cut(zipped(t / "x.zip", GOOD), 100), "no list"),
    "zip: list by zip64": (lambda t: list_by_zip64(t / "x.zip"), "far too long"),
    "zip: list": (lambda t: truncated_list(t / "x.zip"), "far too long"),
    "zip: bomb": (lambda t: zipped(t / "x.zip", {**GOOD, "kernel/entry.S": b" " * (50 << 20)}), "larger than 64 KiB"),
    "zip: NUL in a name": (lambda t: damaged_name(t / "x.zip"), "NUL byte"),
    "tar: ..": (lambda t: tarred(t / "x.tar", {"a/../../kernel/entry.S": "", **GOOD}), "leads out"),
    "tar: absolute": (lambda t: tarred(t / "x.tar", {"/kernel/entry.S": "", **GOOD}), "leads out"),
    "tar: link": (lambda t: with_member(t / "x.tar", "kernel/extra.h", tarfile.SYMTYPE, "/etc/passwd"),
                  "is a symbolic link"),
    "tar: link to a folder": (lambda t: with_member(t / "x.tar", "kernel", tarfile.SYMTYPE, "/etc"),
                              "kernel is a symbolic link"),
    "tar: hard link": (lambda t: with_member(t / "x.tar", "a/kernel/extra.h", tarfile.LNKTYPE, "/etc/passwd"),
                       "is a hard link"),
    "tar: device": (lambda t: with_member(t / "x.tar", "kernel/extra.h", tarfile.CHRTYPE), "is a device"),
    "tar: pipe": (lambda t: with_member(t / "x.tar", "kernel/extra.h", tarfile.FIFOTYPE), "is a pipe"),
    "tar: sparse": (lambda t: sparse_tar(t / "x.tar"), "is a sparse file"),
    "tar: cut": (lambda t: cut(tarred(t / "x.tar", {"kernel/entry.S": "x" * 5000}), 2000), "cannot be read"),
    "tar: header": (lambda t: huge_header(t / "x.tar"), "cannot be read"),
    "gz: cut": (lambda t: cut(tarred(t / "x.tgz", GOOD, "w:gz"), 60), "cannot be read"),
    "gz: damaged": (lambda t: damaged(tarred(t / "x.tgz", GOOD, "w:gz"), -6), "cannot be read"),
    "gz: no tar": (lambda t: bytes_at(t / "x.gz", gzip.compress(b"hello")), "cannot be read"),
    "gz: packed twice": (lambda t: bytes_at(t / "x.tgz", gzip.compress(tarred(t / "x", GOOD, "w:gz").read_bytes())),
                         "cannot be read"),
    "gz: bomb": (lambda t: bytes_at(t / "x.tgz", bomb(gzip.compress)), "unpacks to more than 128 MiB"),
    "xz: bomb": (lambda t: bytes_at(t / "x.txz", bomb(lzma.compress)), "unpacks to more than 128 MiB"),
    "xz: memory": (lambda t: bytes_at(t / "x.txz", lzma.compress(tarred(t / "x", GOOD).read_bytes(), filters=[
        {"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 30}])), "cannot be read"),
    "folder: link": (lambda t: with_symlink(t / "x", "kernel/entry.S", "/etc/passwd"), "is a symbolic link"),
    "folder: link to a folder": (lambda t: with_symlink(t / "x", "kernel", "elsewhere"), "kernel is a symbolic link"),
    "folder: link to another's": (lambda t: with_symlink(t / "x", "a", write(t / "other")),
                                  "kernel/entry.S is not there"),
    "folder: hard link": (lambda t: with_hard_link(t / "x"), "is a hard link"),
    "folder: pipe": (lambda t: with_pipe(t / "x"), "is a pipe"),
    "NUL byte": (lambda t: write(t / "x", {**GOOD, "kernel/entry.S": "a\0b"}), "holds a NUL byte"),
    "too large": (lambda t: write(t / "x", {**GOOD, "kernel/entry.S": "a" * 65537}), "larger than 64 KiB"),
    "long name, leads out": (lambda t: tarred(t / "x.tar", {f"../{NASTY}": ""}), "leads out"),
    "long name, twice": (lambda t: tarred(t / "x.tar", {**GOOD, f"{NASTY}/kernel/pcr.h": ""}), "is there twice"),
    "long name, large": (lambda t: tarred(t / "x.tar", {f"{NASTY}/kernel/pcr.h": "a" * 65537}), "larger than"),
    "long name, link": (lambda t: with_member(t / "x.tar", f"{NASTY}/kernel/pcr.h", tarfile.SYMTYPE, "x"), "link"),
    "too many": (lambda t: zipped(t / "x.zip", {f"{number}": "" for number in range(10001)}),
                 "more than 10000 entries"),
}


def bytes_at(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def bomb(compress) -> bytes:
    """A tar with one file of 200 MiB, which takes a few hundred KiB."""
    info = member("other", tarfile.REGTYPE)
    info.size = 200 << 20
    return compress(info.tobuf()) + compress(bytes(4 << 20)) * 50


def damaged_name(path: Path) -> Path:
    data = zipped(path, {**GOOD, "kernel/entry.Sx": ""}).read_bytes()
    path.write_bytes(data.replace(b"kernel/entry.Sx", b"kernel/entry.S\0"))
    return path


@pytest.mark.parametrize("make, says", REFUSED.values(), ids=REFUSED)
def test_refused(make, says, tmp_path, into):
    with pytest.raises(Refused) as caught:
        read_submission(make(tmp_path), LAB, into)
    assert says in str(caught.value)
    assert len(str(caught.value)) < 400 and str(caught.value).isprintable()
    assert not any(into.iterdir())


def test_largest_that_is_taken(tmp_path, into):
    read(write(tmp_path / "x", {**GOOD, "kernel/entry.S": "a" * 65536}), into)


def test_too_many_in_a_folder(tmp_path, into, monkeypatch):
    monkeypatch.setattr(archives, "MOST_ENTRIES", 2)
    with pytest.raises(Refused, match="more than 2 entries"):
        read_submission(write(tmp_path / "x"), LAB, into)


@pytest.mark.parametrize("form", ["folder", "zip", "tar.gz"])
def test_no_more_is_read_than_was_asked_for(form, tmp_path):
    """However large a file is, or unpacks to."""
    path = tmp_path / f"x.{form}"
    files = {"kernel/entry.S": "a" * 1000}
    {"folder": write, "zip": zipped, "tar.gz": lambda *words: tarred(*words, "w:gz")}[form](path, files)
    assert [entry.read(10) for entry in archives.entries_of(path) if entry.kind == "file"] == [b"a" * 10]


@pytest.mark.parametrize("exchange", [lambda path: path.symlink_to("/etc/passwd"), os.mkfifo], ids=["link", "pipe"])
def test_exchanged_after_the_look(exchange, tmp_path):
    """A file in a folder that is something else once it is read."""
    for entry in archives.entries_of(write(tmp_path / "x", {"entry.S": ""})):
        (tmp_path / "x/entry.S").unlink()
        exchange(tmp_path / "x/entry.S")
        with pytest.raises((OSError, Refused)):
            entry.read(10)


def test_large_archive(tmp_path, into, monkeypatch):
    monkeypatch.setattr(archives, "MOST_ARCHIVE", 100)
    with pytest.raises(Refused, match="the archive is larger"):
        read_submission(zipped(tmp_path / "x.zip", GOOD), LAB, into)


@pytest.mark.heavy
@pytest.mark.parametrize("form", ["zip", "tar", "tar.gz", "tar.xz"])
def test_any_damage(form, tmp_path):
    """Every byte of an archive changed in turn: it is read or refused, and nothing else."""
    path = tmp_path / f"x.{form}"
    whole = (zipped(path, GOOD) if form == "zip" else
             tarred(path, GOOD, {"tar": "w", "tar.gz": "w:gz", "tar.xz": "w:xz"}[form])).read_bytes()
    for at in range(min(len(whole), 1200)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1:])
        try:
            read_submission(path, LAB, tmp_path / f"{at}")
        except Refused:
            pass
