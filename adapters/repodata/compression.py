"""Decompression of metadata in pieces, with limits of memory and time."""

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

# Bytes of a decompressed piece.
_PIECE_SIZE: Final = 256 * 1024
# Bytes of a read from the file.
_READ_SIZE: Final = 64 * 1024
# Bytes of memory for decompression; zstandard has the same limit. xz -9 and zstd -19 need much less.
_MAX_MEMORY: Final = 128 * 1024 * 1024
# Errors of the decompressors for damaged files.
_FAULTS: Final = (EOFError, OSError, zlib.error, lzma.LZMAError, zstandard.ZstdError)


class _Reader(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _FileWithDeadline(io.RawIOBase):
    """A file whose reads fail after the deadline: a decompressor may read many empty streams before a piece."""

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
    """Return the content of a file in pieces of at most 256 KiB, decompressed if it is gzip, xz, zstd or bzip2.

    The format is detected by the file's first bytes. `deadline` is a time of `time.monotonic()`. Raises
    UnavailableError if the file is damaged or the deadline has passed.
    """
    start = file.read(6)
    file.seek(0)
    open_ = next((open_ for magic, open_ in _FORMATS.items() if start.startswith(magic)), _plain)
    try:
        for piece in open_(io.BufferedReader(_FileWithDeadline(file, deadline), _READ_SIZE)):
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
    """Decompress with LZMADecompressor, because LZMAFile has no limit of memory."""
    rest = b""
    while rest := rest or file.read(_PIECE_SIZE):
        decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MAX_MEMORY)
        while not decompressor.eof:
            if decompressor.needs_input and not (rest := rest or file.read(_PIECE_SIZE)):
                raise EOFError("the stream ends too early")
            yield decompressor.decompress(rest, _PIECE_SIZE)
            rest = b""
        rest = decompressor.unused_data.lstrip(b"\0")


def _read(reader: _Reader) -> Iterator[bytes]:
    while piece := reader.read(_PIECE_SIZE):
        yield piece


_FORMATS: Final[dict[bytes, Callable[[BinaryIO], Iterator[bytes]]]] = {
    b"\x1f\x8b": _gzip,
    b"BZh": _bzip2,
    b"\xfd7zXZ\0": _xz,
    b"\x28\xb5\x2f\xfd": _zstd,
}
