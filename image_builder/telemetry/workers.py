"""Metrics of several worker processes, in shared memory, so that each worker can report the sums over all of them.

prometheus-client's own multi-process mode keeps files in a directory, where a cleaner of temporary files may remove
them and a disk may be full. Here each worker counts in a file in memory (`memfd_create`, Linux), its slot. The parent
process creates the slots and all workers inherit them. A slot has no name under which it could be removed, outlives its
worker, and ends with the last process of the service.

A worker takes the first free slot by a lock that ends with the process, and continues the counters of the slot's
previous holder. So the number of slots stays the largest number of workers at one time, counters never decrease, and
nothing is counted twice.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from threading import Lock
from typing import Any, Final, Self

import structlog
from prometheus_client import values
from prometheus_client.metrics_core import Metric
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.registry import Collector

from domain.errors import ConfigurationError

log = structlog.get_logger()

# Prefixes of keys: the type of the metric, for gauges with their multiprocess mode.
_HISTOGRAM: Final = "histogram"
_SUM_OF_LIVE_WORKERS: Final = "gauge_livesum"
_MOST_RECENT: Final = "gauge_mostrecent"
# Initial size of a file in bytes; pages that were never written take no memory. MmapedDict doubles a file that is full.
_FILE_SIZE: Final = 256 * 1024
# Attempts to take a slot.
_ATTEMPTS: Final = 5
_SECONDS_BETWEEN_ATTEMPTS: Final = 0.05


class MetricsMemory:
    """The slots of a service: one file in memory for each worker process.

    Forked processes inherit it. The process that creates it uses it as a context manager.
    """

    def __init__(self, files: Sequence[int]) -> None:
        """`files` are the file descriptors of the slots."""
        self._files = list(files)

    @classmethod
    def of(cls, workers: int) -> Self:
        """Create slots for this number of workers. Raises ConfigurationError if the system refuses the memory."""
        try:
            return cls([_memory_file() for _ in range(workers)])
        except OSError as error:
            raise ConfigurationError(f"Cannot create the memory for the workers' metrics: {error.strerror}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files:
            os.close(file)

    @property
    def paths(self) -> list[str]:
        """Paths at which this process can open the files again, by slot."""
        return [f"/proc/self/fd/{file}" for file in self._files]

    def take_slot(self) -> tuple[int, int]:
        """Lock a free slot; returns its number and the descriptor that holds the lock until this process ends."""
        for _ in range(_ATTEMPTS):
            for number, path in enumerate(self.paths):
                if (lock := _lock(path, fcntl.LOCK_EX)) is not None:
                    return number, lock
            # Another worker that checks whether a slot is free locks it for a moment.
            time.sleep(_SECONDS_BETWEEN_ATTEMPTS)
        # A child process of a killed worker may still hold the worker's slot.
        log.warning("no free slot for the metrics of this worker: other workers do not report them")
        self._files.append(_memory_file())
        return self.take_slot()


class MetricsSlot(Collector):
    """The slot of this process, in which all metrics created later are stored; it collects the metrics of all slots."""

    def __init__(self, memory: MetricsMemory) -> None:
        """Take a slot. Raises OSError if no file can be opened."""
        self._memory = memory
        self.number, self._lock = memory.take_slot()
        self._entries = MmapedDict(memory.paths[self.number])  # type: ignore[no-untyped-call]
        values.ValueClass = _value_class(self._entries)

    def close(self) -> None:
        """Free the slot, as the end of the process does. Metrics cannot be counted afterwards."""
        self._entries.close()  # type: ignore[no-untyped-call]
        os.close(self._lock)

    def collect(self) -> Iterable[Metric]:
        """The metrics of all slots. Gauges of processes count only in slots that a process holds."""
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


def _memory_file() -> int:
    file = os.memfd_create("image-builder-metrics")
    os.ftruncate(file, _FILE_SIZE)
    return file


def _lock(path: str, operation: int) -> int | None:
    """Open the file again and lock it until this process ends. None if another process has locked it."""
    handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def _is_free(path: str) -> bool:
    # A shared lock: two processes that check at once do not take each other for the holder.
    handle = _lock(path, fcntl.LOCK_SH)
    if handle is not None:
        os.close(handle)
    return handle is not None


def _entries(path: str) -> Iterator[tuple[str, float, float]]:
    """Key, value and timestamp of each entry of a slot; other processes may write meanwhile.

    The timestamp is 0 but for gauges of the mode `mostrecent`.
    """
    entries: Iterator[tuple[str, float, float, int]]
    entries = MmapedDict.read_all_values_from_file(path)  # type: ignore[no-untyped-call]
    return ((key, value, timestamp) for key, value, timestamp, _ in entries)


def _value_class(entries: Any) -> type:
    """The class in which prometheus-client stores the value of a sample: here one entry of this process' slot."""
    # One lock for all values, because MmapedDict is not thread-safe.
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
            """Exemplars are not stored."""

        def get_exemplar(self) -> None:
            return None

    return Value


def _metrics(totals: Mapping[str, float]) -> Iterable[Metric]:
    """The totals, by key, as metrics. Each bucket of a histogram includes the counts of the buckets below it."""
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
