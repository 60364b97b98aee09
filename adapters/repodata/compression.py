"""Compressed metadata, opened a piece at a time."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Final, Protocol

import zstandard

from adapters.repodata.errors import content_error

_PIECE: Final = 256 * 1024
_READ: Final = 64 * 1024
# Bytes that opening may take; zstandard's own limit is the same. xz -9 and zstd -19 stay well below.
_MEMORY: Final = 128 * 1024 * 1024
_FAULTS: Final = (EOFError, OSError, zlib.error, lzma.LZMAError, zstandard.ZstdError)


class _Reader(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Timed(io.RawIOBase):
    """The file until the deadline: decompressors may read long without giving a piece, through empty streams."""

    def __init__(self, file: BinaryIO, deadline: float) -> None:
        self._file = file
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        if time.monotonic() > self._deadline:
            raise content_error("timed out")
        piece = self._file.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)


def decompress(file: BinaryIO, deadline: float) -> Iterator[bytes]:
    """The content of the file, opened if it is gzip, xz, zstd or bzip2, in pieces of at most 256 KiB.

    The file's first bytes decide, not its name. `deadline` is of `time.monotonic()`. Raises `UnavailableError` when
    the file is damaged or timed out.
    """
    start = file.read(6)
    file.seek(0)
    open_ = next((open_ for magic, open_ in _FORMATS.items() if start.startswith(magic)), _plain)
    try:
        for piece in open_(io.BufferedReader(_Timed(file, deadline), _READ)):
            if time.monotonic() > deadline:
                raise content_error("timed out")
            yield piece
    except _FAULTS as error:
        raise content_error(f"it cannot be decompressed: {error}") from None


def _plain(file: BinaryIO) -> Iterator[bytes]:
    return _read(file)


def _gzip(file: BinaryIO) -> Iterator[bytes]:
    return _read(gzip.GzipFile(fileobj=file, mode="rb"))


def _bzip2(file: BinaryIO) -> Iterator[bytes]:
    return _read(bz2.BZ2File(file))


def _zstd(file: BinaryIO) -> Iterator[bytes]:
    return _read(zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True))


def _xz(file: BinaryIO) -> Iterator[bytes]:
    """By hand, as LZMAFile would take as much memory as the file asks for."""
    rest = b""
    while rest := rest or file.read(_PIECE):
        decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY)
        while not decompressor.eof:
            if decompressor.needs_input and not (rest := rest or file.read(_PIECE)):
                raise EOFError("the stream ends too early")
            yield decompressor.decompress(rest, _PIECE)
            rest = b""
        rest = decompressor.unused_data.lstrip(b"\0")


def _read(reader: _Reader) -> Iterator[bytes]:
    while piece := reader.read(_PIECE):
        yield piece


_FORMATS: Final[dict[bytes, Callable[[BinaryIO], Iterator[bytes]]]] = {
    b"\x1f\x8b": _gzip,
    b"BZh": _bzip2,
    b"\xfd7zXZ\0": _xz,
    b"\x28\xb5\x2f\xfd": _zstd,
}
