"""SCAP source datastreams (NIST SP 800-126): the benchmarks in them, read piece by piece and within bounds."""

from __future__ import annotations

import sys
import time
from collections.abc import Container, Iterable, Iterator
from pathlib import Path
from typing import Final
from xml.parsers import expat

from adapters.repodata.compression import decompress
from adapters.repodata.elements import DEEPEST, LONGEST_TEXT, feed, local_name
from adapters.repodata.errors import content_error
from adapters.scap.benchmark import Benchmark, Group, Profile, Rule, ValueReference
from domain.errors import ConfigurationError, UnavailableError

# Bytes of XML. The largest datastream of the SCAP Security Guide has some 40 million.
_LARGEST: Final = 256 * 1024 * 1024
# Bytes that profiles, rules and values may take; those of RHEL 9 take some 3 million.
_MEMORY: Final = 64 * 1024 * 1024
# Of an entry, beside its texts.
_PER_ENTRY: Final = 300
_MOST_PROFILES: Final = 200
# Seconds; a large datastream takes two.
_TIMEOUT: Final = 300
_OSBUILD: Final = "urn:redhat:osbuild:blueprint"
_ITEMS: Final = frozenset({"Group", "Rule", "Value", "Profile"})


def read_datastream(path: Path) -> tuple[Benchmark, ...]:
    """The benchmarks of the file, which may be compressed (gzip, xz, zstd, bzip2).

    Raises `ConfigurationError` naming the file when it cannot be read, is no sound datastream, has no profiles, or is
    too large.
    """
    try:
        if not path.is_file():  # a pipe could keep us waiting for ever
            raise ConfigurationError(f"{path}: is not there, or not a regular file")
        with path.open("rb") as file:
            return parse_datastream(decompress(file, time.monotonic() + _TIMEOUT))
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
    except UnavailableError as error:
        raise ConfigurationError(f"{path}: {error.detail}") from None


def parse_datastream(pieces: Iterable[bytes]) -> tuple[Benchmark, ...]:
    """The benchmarks of the XML. Raises `UnavailableError` when it is no sound datastream with profiles."""
    parser = expat.ParserCreate(intern={})
    parser.buffer_text = True
    reading = _Reading(parser)
    try:
        feed(parser, _bounded(pieces))
    finally:
        reading.release()
    if not any(benchmark.profiles for benchmark in reading.benchmarks):
        raise content_error("the datastream has no profiles")
    return tuple(reading.benchmarks)


def _bounded(pieces: Iterable[bytes]) -> Iterator[bytes]:
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > _LARGEST:
            raise content_error(f"the datastream is larger than {_LARGEST} bytes")
        yield piece


class _Reading:
    """The handlers of the parser. Elements are known by their local names and by what is around them."""

    def __init__(self, parser: expat.XMLParserType) -> None:
        self.benchmarks: list[Benchmark] = []
        self._parser = parser
        self._left = _MEMORY
        self._path: list[str] = []
        # How deep the benchmark, the groups and the profile, rule or value begin that are being read.
        self._benchmark_at = 0
        self._groups: list[tuple[int, str]] = []
        self._item: Profile | Rule | dict[str, str] | None = None
        self._item_at = 0
        # The same of the element whose text is being read, and the value or the selector that it is for.
        self._text_at = 0
        self._text: list[str | ValueReference] = []
        self._length = 0
        self._text_for = ""
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end

    def release(self) -> None:
        """Parser and handlers refer to each other; they are not left to the garbage collector."""
        self._parser.StartElementHandler = None
        self._parser.EndElementHandler = None
        self._parser.CharacterDataHandler = None

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        local = local_name(name)
        if not self._path and local != "data-stream-collection":
            raise content_error("it is no SCAP source datastream")
        if len(self._path) >= DEEPEST:
            raise content_error(f"elements are nested more than {DEEPEST} deep")
        self._path.append(local)
        depth = len(self._path)
        if self._text_at:
            if local == "sub":
                self._keep(attributes.get("idref", ""))
                self._text.append(ValueReference(attributes.get("idref", "")))
        elif not self._benchmark_at:
            if local == "Benchmark":
                self._benchmark_at = depth
                self.benchmarks.append(Benchmark())
        elif self._item is not None:
            if depth == self._item_at + 1:
                self._part(local, attributes)
        elif local in _ITEMS and depth == (self._groups[-1][0] if self._groups else self._benchmark_at) + 1:
            self._begin(local, attributes)

    def _begin(self, kind: str, attributes: dict[str, str]) -> None:
        """A group, rule, value or profile begins."""
        benchmark, id_, extends = self.benchmarks[-1], attributes.get("id", ""), attributes.get("extends")
        self._keep(id_, extends or "")
        if not id_ or id_ in self._known(kind):
            raise content_error(f"the benchmark has a {kind} without an id, or two with the id {id_}")
        parent = self._groups[-1][1] if self._groups else None
        selected = _is_true(attributes.get("selected", "true"))
        if kind == "Group":
            benchmark.groups[id_] = Group(selected, parent)
            self._groups.append((len(self._path), id_))
            return
        self._item_at = len(self._path)
        if kind == "Rule":
            self._item = benchmark.rules[id_] = Rule(selected, parent)
        elif kind == "Value":
            self._item = benchmark.values[id_] = {}
        else:
            self._item = benchmark.profiles[id_] = Profile(extends)
            if len(benchmark.profiles) > _MOST_PROFILES:
                raise content_error(f"the benchmark has more than {_MOST_PROFILES} profiles")

    def _known(self, kind: str) -> Container[str]:
        benchmark = self.benchmarks[-1]
        known: dict[str, Container[str]] = {
            "Group": benchmark.groups,
            "Rule": benchmark.rules,
            "Value": benchmark.values,
            "Profile": benchmark.profiles,
        }
        return known[kind]

    def _part(self, local: str, attributes: dict[str, str]) -> None:
        """An element directly in a rule, value or profile begins."""
        idref, selector = attributes.get("idref", ""), attributes.get("selector", "")
        if isinstance(self._item, Profile):
            if local == "select":
                self._keep(idref)
                self._item.selected[idref] = _is_true(attributes.get("selected", ""))
            elif local == "refine-value":
                self._keep(idref, selector)
                self._item.selectors[idref] = selector
            elif local in {"title", "description", "set-value"}:
                self._read_text(idref)
        elif isinstance(self._item, Rule):
            if local == "fix" and attributes.get("system") == _OSBUILD and not self._item.fix:
                self._read_text("")
        elif local == "value":
            self._read_text(selector)

    def _end(self, _name: str) -> None:
        depth = len(self._path)
        if self._text_at == depth:
            self._take_text()
        elif self._item_at == depth:
            self._item, self._item_at = None, 0
        elif self._groups and self._groups[-1][0] == depth:
            self._groups.pop()
        elif self._benchmark_at == depth:
            self._benchmark_at = 0
        self._path.pop()

    def _read_text(self, what_for: str) -> None:
        self._text_at, self._text_for = len(self._path), what_for
        self._text, self._length = [], 0
        self._parser.CharacterDataHandler = self._characters

    def _characters(self, text: str) -> None:
        self._length += len(text)
        if self._length > LONGEST_TEXT:
            raise content_error(f"an element's text is longer than {LONGEST_TEXT} characters")
        self._text.append(text)

    def _take_text(self) -> None:
        text = "".join(part for part in self._text if isinstance(part, str))
        self._keep(text, self._text_for)
        self._parser.CharacterDataHandler = None
        self._text_at = 0
        item, local = self._item, self._path[-1]
        if isinstance(item, Rule):
            item.fix = tuple(self._text)
        elif isinstance(item, dict):
            item[self._text_for] = text.strip()
        elif isinstance(item, Profile) and local == "set-value":
            item.values[self._text_for] = text.strip()
        elif isinstance(item, Profile) and local == "title":
            item.title = item.title or text
        elif isinstance(item, Profile):
            item.description = item.description or text

    def _keep(self, *texts: str) -> None:
        """Count what an entry takes."""
        self._left -= _PER_ENTRY + sum(map(sys.getsizeof, texts))
        if self._left < 0:
            raise content_error("the datastream has more profiles, rules and values than fit into memory")


def _is_true(text: str) -> bool:
    return text.strip() in {"true", "1"}
