"""Where the worker processes of one service keep their metrics, so that each can tell the sum.

prometheus-client keeps counters in files that are mapped into memory: what a process has counted outlives it, however
it ends. It names the files after processes; here they are named after slots. A worker takes the first slot that nobody
holds, by a lock that ends with the process, and counts on from where the slot's last holder stopped. So there are never
more files than there were workers at one time, no counter ever goes back, and nothing counts twice.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Final

from prometheus_client import values
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector

from domain.errors import ConfigurationError

_PREFIX: Final = "image-builder-metrics-"
_OWNER: Final = "owner"
_LOCK: Final = ".lock"
# Room for all that a slot is likely to count. It is taken at the start: a process that writes to a mapped file for
# which a full file system has no room is killed.
_ROOM: Final = 256 * 1024
_FILES: Final = ("counter", "histogram", "gauge_livesum", "gauge_mostrecent")


@contextmanager
def shared_directory(workers: int) -> Iterator[Path]:
    """A directory below the temporary one for the metrics of the `workers` to be started, removed at the end.

    Directories of services that were killed are removed, too. Raises ConfigurationError where there is no room.
    """
    for abandoned in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        if _is_abandoned(abandoned):
            shutil.rmtree(abandoned, ignore_errors=True)
    try:
        directory = Path(tempfile.mkdtemp(prefix=_PREFIX))
    except OSError as error:
        raise _no_room(error) from None
    try:
        lock = _owned(directory, workers)
        try:
            yield directory
        finally:
            if lock is not None:
                os.close(lock)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


class Slot:
    """The place of this process in the directory; from now on all metrics that it makes are kept there."""

    def __init__(self, directory: Path) -> None:
        """Take a slot. Raises OSError where there is no room."""
        self._directory = directory
        self.number, self._lock = next(
            (number, lock) for number in count() if (lock := _take(directory / f"{number}{_LOCK}")) is not None
        )
        _make_room(directory, self.number)
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(directory)
        values.ValueClass = values.MultiProcessValue(lambda: self.number)  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Leave the slot to somebody else, as the end of the process does."""
        os.close(self._lock)

    def collect(self) -> Iterator[Metric]:
        """The metrics of all slots; of those without a process no gauges that speak of a process."""
        files = [
            str(file)
            for file in self._directory.glob("*.db")
            if not file.name.startswith("gauge_live") or self._is_held(file.stem.rpartition("_")[2])
        ]
        yield from MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]

    def _is_held(self, number: str) -> bool:
        return number == str(self.number) or not _is_free(self._directory / f"{number}{_LOCK}")


def _owned(directory: Path, workers: int) -> int | None:
    """The lock by which it is known that the directory is in use, once there is room for all workers."""
    try:
        lock = _take(directory / "new")
        # Under its name it is locked from the start: nobody takes the directory for abandoned.
        (directory / "new").rename(directory / _OWNER)
        for number in range(workers):
            _make_room(directory, number)
    except OSError as error:
        raise _no_room(error) from None
    return lock


def _no_room(error: OSError) -> ConfigurationError:
    return ConfigurationError(f"No temporary directory for the workers' metrics: {error.strerror}")


def _make_room(directory: Path, number: int) -> None:
    """The files of a slot, unless they are there. Raises OSError."""
    for kind in _FILES:
        file = directory / f"{kind}_{number}.db"
        if not file.exists():
            # Under its name it is there as a whole: others may read at any time.
            handle, path = tempfile.mkstemp(dir=directory)
            try:
                os.posix_fallocate(handle, 0, _ROOM)
            finally:
                os.close(handle)
            Path(path).rename(file)


def _take(path: Path) -> int | None:
    """The open file, locked until this process ends; None where somebody else has locked it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def _is_free(path: Path) -> bool:
    with suppress(OSError), path.open("rb") as file:
        # Shared: two that ask at once do not take each other for a holder.
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return True
    return False


def _is_abandoned(directory: Path) -> bool:
    """Whether neither the process that made it nor any worker is left."""
    with suppress(OSError):
        if directory.is_symlink() or directory.stat().st_uid != os.geteuid():
            return False
        return _is_free(directory / _OWNER) and all(map(_is_free, directory.glob(f"*{_LOCK}")))
    return False
