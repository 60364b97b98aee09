"""The metrics of a service's /metrics."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import requests

from tests.support.waiting import PATIENCE

CRC = "image_builder_crc_"
# prometheus-client's own parser does not tell names as they are: it adds `_total` where a counter has none.
_SAMPLE = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True)
class Exposition:
    """One answer of /metrics; metrics are named without `image_builder_crc_`."""

    text: str
    samples: Mapping[tuple[str, frozenset[tuple[str, str]]], float]

    @classmethod
    def of(cls, text: str) -> Self:
        """Parse the text. Raises AssertionError for a repeated sample."""
        samples: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
        for line in text.splitlines():
            if not line.startswith("#"):
                match = _SAMPLE.fullmatch(line)
                assert match is not None, line
                name, labels, value = match.groups()
                key = name, frozenset(_LABEL.findall(labels or ""))
                assert key not in samples, key
                samples[key] = float(value)
        return cls(text, samples)

    def value(self, metric: str, **labels: str) -> float:
        """The sum of the metric's samples that have these labels among others."""
        return sum(
            value
            for (name, of), value in self.samples.items()
            if name == CRC + metric and frozenset(labels.items()) <= of
        )

    def label_sets(self, metric: str) -> Iterator[dict[str, str]]:
        """The labels of each of the metric's samples."""
        for name, labels in self.samples:
            if name == CRC + metric:
                yield dict(labels)

    def type_of(self, metric: str) -> str:
        """The type of the metric; empty if there is none."""
        lines = (line.split(" ") for line in self.text.splitlines() if line.startswith("# TYPE "))
        return next((words[3] for words in lines if words[2] == CRC + metric), "")


def scrape(url: str) -> Exposition:
    """The current metrics of the service at `url`, over a new connection, so that any worker may answer."""
    answer = requests.get(f"{url}/metrics", timeout=PATIENCE)
    assert answer.status_code == 200, answer.text
    return Exposition.of(answer.text)


def eventually(url: str, holds: Callable[[Exposition], Any]) -> Exposition:
    """Wait for the first exposition for which the condition holds: a request is counted just after its answer."""
    deadline = time.monotonic() + PATIENCE
    while not holds(exposition := scrape(url)):
        assert time.monotonic() < deadline, exposition.text
        time.sleep(0.05)
    return exposition
