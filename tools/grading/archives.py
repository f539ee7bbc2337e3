# What lies in a submission: the entries of a folder, a zip or a tar, one after the other, each with a way to read it.
# Nothing is unpacked here, and nothing is believed: what cannot be read safely is refused. Called by submission.py.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Callable, Iterator

MIB = 1 << 20
MOST_ENTRIES = 10000
MOST_ARCHIVE = 32 * MIB         # of the archive itself
MOST_UNPACKED = 128 * MIB       # that a tar may hold altogether: it must be unpacked to be read
MOST_DIRECTORY = 4 * MIB        # of a zip's list of entries
XZ_MEMORY = 256 * MIB           # a dictionary as large as `xz -9` has fits well
SKIPPED = (".git", "build", "__pycache__")      # folders that are not looked into: large, and nobody's submission
UNREADABLE = (OSError, EOFError, ValueError, RuntimeError, NotImplementedError, struct.error, zlib.error, OverflowError,
              lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile, MemoryError)


class Refused(Exception):
    """This is no submission; the message says why, for the student."""


@dataclass
class Entry:
    """One thing in a submission. Its kind is 'file', 'folder', or what it is called in a sentence."""

    name: str
    kind: str
    read: Callable[[int], bytes]        # at most so many bytes


def show(name: str) -> str:
    """A name that may hold anything, for a terminal or a page; never long."""
    text = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in name)
    return text if len(text) <= 80 else f"{text[:77]}..."


def entries_of(path: Path) -> Iterator[Entry]:
    """Reads the kind of a submission from its contents, whatever its name."""
    if path.is_dir():
        yield from limited(in_folder(path))
        return
    if not path.is_file():
        raise Refused(f"{show(str(path))} is not there" if not path.exists() else "it is neither a folder nor a file")
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size > MOST_ARCHIVE:
            raise Refused(f"the archive is larger than {MOST_ARCHIVE // MIB} MiB; it is to hold the lab's files alone")
        start = file.read(512)
        file.seek(0)
        yield from limited(in_archive(start, file))


def in_archive(start: bytes, file: BinaryIO) -> Iterator[Entry]:
    if start.startswith((b"PK\3\4", b"PK\5\6")):
        return in_zip(file)
    if start.startswith(b"\x1f\x8b"):
        return in_tar(gzip.GzipFile(fileobj=file))
    if start.startswith(b"\xfd7zXZ\0"):
        lzma.LZMADecompressor(memlimit=XZ_MEMORY).decompress(start, 1)      # raises when it wants more
        return in_tar(lzma.LZMAFile(file))
    if start[257:262] == b"ustar":
        return in_tar(file)
    raise Refused("it is neither a folder, nor a zip, nor a tar (plain, .gz or .xz)")


def limited(entries: Iterator[Entry]) -> Iterator[Entry]:
    for number, entry in enumerate(entries):
        if number >= MOST_ENTRIES:
            raise Refused(f"it has more than {MOST_ENTRIES} entries; it is to hold the lab's files alone")
        yield entry


def kind_of(mode: int) -> str:
    names = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "a symbolic link", stat.S_IFIFO: "a pipe",
             stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}
    return names.get(stat.S_IFMT(mode), "no plain file")


def in_folder(folder: Path) -> Iterator[Entry]:
    """Links are not followed; each file is opened in the folder that was looked into, whatever has become of its
    path."""
    for path, folders, files, where in os.fwalk(folder, follow_symlinks=False):
        inside = os.path.relpath(path, folder)
        for name in sorted(files) + sorted(folders):
            about = os.stat(name, dir_fd=where, follow_symlinks=False)
            kind = kind_of(about.st_mode)
            if kind == "file" and about.st_nlink > 1:
                kind = "a hard link (the file has a second name)"
            yield Entry(os.path.normpath(os.path.join(inside, name)), kind, reader_of(name, where))
        folders[:] = sorted(name for name in folders if name not in SKIPPED)


def reader_of(name: str, where: int) -> Callable[[int], bytes]:
    def read(most: int) -> bytes:
        handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=where)
        with open(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise Refused(f"{show(name)} is no plain file")
            return file.read(most)
    return read


def in_zip(file: BinaryIO) -> Iterator[Entry]:
    file.seek(max(0, os.fstat(file.fileno()).st_size - 66000))
    tail = file.read()
    at = tail.rfind(b"PK\5\6")
    # The module reads the whole list at once, as long as it claims to be; a zip64 says that in a record before.
    if at < 0 or len(tail) < at + 22 or struct.unpack_from("<I", tail, at + 12)[0] > MOST_DIRECTORY or (
            tail[max(0, at - 76):at].startswith(b"PK\6\6") and
            struct.unpack_from("<Q", tail, at - 36)[0] > MOST_DIRECTORY):
        raise Refused("the zip has no list of its entries, or one that is far too long")
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            if "\0" in info.orig_filename:
                raise Refused(f"the name {show(info.orig_filename)} holds a NUL byte")
            kind = "folder" if info.is_dir() else kind_of(info.external_attr >> 16 or stat.S_IFREG)
            if not stat.S_IFMT(info.external_attr >> 16):       # made where there are no modes
                kind = "folder" if info.is_dir() else "file"
            if info.flag_bits & 1:
                kind = "encrypted"
            yield Entry(info.filename.replace("\\", "/"), kind, lambda most, info=info: archive.open(info).read(most))


class Counted(io.RawIOBase):
    """A stream of which only so much is read."""

    def __init__(self, stream: BinaryIO, most: int):
        self.stream, self.left = stream, most

    def read(self, size: int = -1) -> bytes:
        data = self.stream.read(min(size if size >= 0 else MIB, self.left + 1))
        self.left -= len(data)
        if self.left < 0:
            raise Refused(f"the archive unpacks to more than {MOST_UNPACKED // MIB} MiB")
        return data


def in_tar(stream: BinaryIO) -> Iterator[Entry]:
    """From its beginning to its end: a tar has no list of its entries."""
    counted = Counted(stream, MOST_UNPACKED)
    with tarfile.open(fileobj=counted, mode="r|", errorlevel=2) as archive:
        for member in archive:
            kind = "file" if member.isreg() else "folder" if member.isdir() else "a symbolic link" if member.issym() \
                else "a hard link" if member.islnk() else "a pipe" if member.isfifo() else "a device"
            if member.issparse():
                kind = "a sparse file"
            yield Entry(member.name, kind, lambda most, member=member: archive.extractfile(member).read(most))
    while counted.read(MIB):        # to its very end: there stands the checksum
        pass
