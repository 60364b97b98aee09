"""Memory in which the worker processes of one service count together, so that each of them can tell the sum.

prometheus-client itself uses files in a directory: a cleaner of temporary files may remove them, and a disk may have no
room for them. Here every worker counts in a file in memory (`memfd_create`, Linux), which the parent process makes and
all workers inherit: it has no name under which it could be removed, it outlives the worker, and it ends with the last
process of the service.

A worker takes the first slot that no process holds, by a lock that ends with the process, and counts on from where the
slot's last holder stopped. So there are never more slots than there were workers at one time, no counter ever goes
back, and nothing counts twice.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from multiprocessing import reduction
from threading import Lock
from typing import Any, Final, Self

import structlog
from prometheus_client import values
from prometheus_client.metrics_core import Metric
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.registry import Collector

from domain.errors import ConfigurationError

log = structlog.get_logger()

# Kinds of metrics, as they are written in front of a metric's key; those of gauges hold their multiprocess mode.
_HISTOGRAM: Final = "histogram"
_SUM_OF_LIVE_WORKERS: Final = "gauge_livesum"
_MOST_RECENT: Final = "gauge_mostrecent"
# Bytes of a file at first; pages that were never written take no memory. MmapedDict doubles a file that is full.
_FILE_SIZE: Final = 256 * 1024
# To take a slot.
_TRIES: Final = 5
_SECONDS_BETWEEN_TRIES: Final = 0.05


class MetricsMemory:
    """A file in memory for each of a service's worker processes. It can be handed to processes that are spawned.

    Runs as a context manager in the process that makes it.
    """

    def __init__(self, files: Sequence[int]) -> None:
        """`files` are the numbers of the open files."""
        self._files = list(files)

    @classmethod
    def of(cls, workers: int) -> Self:
        """The memory for so many workers. Raises ConfigurationError where there is none."""
        try:
            return cls([_memory_file() for _ in range(workers)])
        except OSError as error:
            raise ConfigurationError(f"No memory for the workers' metrics: {error.strerror}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files:
            os.close(file)

    def __reduce__(self) -> tuple[Any, ...]:
        """What multiprocessing hands to a process: the files themselves, inherited."""
        return _inherited, ([reduction.DupFd(file) for file in self._files],)

    @property
    def paths(self) -> list[str]:
        """Where this process can open the files once more, by slot."""
        return [f"/proc/self/fd/{file}" for file in self._files]

    def take_slot(self) -> tuple[int, int]:
        """The number of a slot that was free, and the open file that holds it as long as this process runs."""
        for _ in range(_TRIES):
            for number, path in enumerate(self.paths):
                if (lock := _lock(path, fcntl.LOCK_EX)) is not None:
                    return number, lock
            # Another worker that looks whether a slot is free holds it meanwhile.
            time.sleep(_SECONDS_BETWEEN_TRIES)
        # A process that a killed worker had forked may hold its slot still.
        log.warning("no slot for this worker's metrics is free: only this worker itself reports them")
        self._files.append(_memory_file())
        return self.take_slot()


class MetricsSlot(Collector):
    """The slot of this process: all metrics that it makes from now on are kept there. Collects those of all slots."""

    def __init__(self, memory: MetricsMemory) -> None:
        """Take a slot. Raises OSError where no file can be opened."""
        self._memory = memory
        self.number, self._held = memory.take_slot()
        self._entries = MmapedDict(memory.paths[self.number])  # type: ignore[no-untyped-call]
        values.ValueClass = _value_class(self._entries)

    def close(self) -> None:
        """Leave the slot to another process, as the end of this one does. Nothing can be counted any more."""
        self._entries.close()  # type: ignore[no-untyped-call]
        os.close(self._held)

    def collect(self) -> Iterable[Metric]:
        """The metrics of all slots; of those that no process holds no gauges that are about a process."""
        totals: dict[str, float] = defaultdict(float)
        latest: dict[str, tuple[float, float]] = {}
        for path in self._memory.paths:
            is_held = not _is_free(path)
            for key, value, timestamp in _entries(path):
                if key.startswith(_MOST_RECENT):
                    latest[key] = max(latest.get(key, (0.0, 0.0)), (timestamp, value))
                elif is_held or not key.startswith(_SUM_OF_LIVE_WORKERS):
                    totals[key] += value
        return _metrics({**totals, **{key: value for key, (timestamp, value) in latest.items() if timestamp}})


def _inherited(files: Iterable[Any]) -> MetricsMemory:
    return MetricsMemory([file.detach() for file in files])


def _memory_file() -> int:
    file = os.memfd_create("image-builder-metrics")
    os.ftruncate(file, _FILE_SIZE)
    return file


def _lock(path: str, operation: int) -> int | None:
    """The file, opened once more and locked until this process ends; None where another process has locked it."""
    handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def _is_free(path: str) -> bool:
    # Shared: two that look at once do not take each other for a holder.
    handle = _lock(path, fcntl.LOCK_SH)
    if handle is not None:
        os.close(handle)
    return handle is not None


def _entries(path: str) -> Iterator[tuple[str, float, float]]:
    """Key, value, and when it was set (of the most recent ones only), while others may write."""
    entries: Iterator[tuple[str, float, float, int]]
    entries = MmapedDict.read_all_values_from_file(path)  # type: ignore[no-untyped-call]
    return ((key, value, timestamp) for key, value, timestamp, _ in entries)


def _value_class(entries: Any) -> type:
    """What prometheus-client keeps the value of each sample in: here one entry of this process' file."""
    # Of all values, because MmapedDict is not thread-safe.
    lock = Lock()

    class Value:
        _multiprocess = True

        def __init__(
            self,
            kind: str,
            metric_name: str,
            name: str,
            label_names: Sequence[str],
            label_values: Sequence[str],
            documentation: str,
            multiprocess_mode: str = "",
            **_: Any,
        ) -> None:
            kind = f"{kind}_{multiprocess_mode}" if multiprocess_mode else kind
            self._key = f"{kind} {mmap_key(metric_name, name, [*label_names], [*label_values], documentation)}"
            with lock:
                self._value, self._timestamp = entries.read_value(self._key)

        def inc(self, amount: float) -> None:
            with lock:
                self._value += amount
                entries.write_value(self._key, self._value, self._timestamp)

        def set(self, value: float, timestamp: float | None = None) -> None:
            with lock:
                self._value, self._timestamp = value, timestamp or 0.0
                entries.write_value(self._key, self._value, self._timestamp)

        def get(self) -> float:
            return float(self._value)

        def set_exemplar(self, exemplar: Any) -> None:
            """Exemplars are not kept."""

        def get_exemplar(self) -> None:
            return None

    return Value


def _metrics(totals: Mapping[str, float]) -> Iterable[Metric]:
    """The totals by keys as prometheus-client writes them out; of a histogram each bucket holds those below it, too."""
    metrics: dict[str, Metric] = {}
    buckets: dict[tuple[str, tuple[tuple[str, str], ...]], list[tuple[float, str, float]]] = defaultdict(list)
    for key, total in totals.items():
        kind, _, described = key.partition(" ")
        metric_name, name, labels, documentation = json.loads(described)
        if metric_name not in metrics:
            metrics[metric_name] = Metric(metric_name, documentation, kind.partition("_")[0])
        if kind == _HISTOGRAM and "le" in labels:
            bound = labels.pop("le")
            buckets[metric_name, tuple(labels.items())].append((float(bound), bound, total))
        else:
            metrics[metric_name].add_sample(name, labels, total)
    for (metric_name, fixed_labels), counts in buckets.items():
        below = 0.0
        for _, bound, number in sorted(counts):
            below += number
            metrics[metric_name].add_sample(f"{metric_name}_bucket", {**dict(fixed_labels), "le": bound}, below)
        metrics[metric_name].add_sample(f"{metric_name}_count", dict(fixed_labels), below)
    return metrics.values()
