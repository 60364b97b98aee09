"""Parses the benchmarks of SCAP source datastreams (NIST SP 800-126), in pieces and with limits of memory and time."""

from __future__ import annotations

import sys
import time
from collections.abc import Container, Iterable, Iterator
from pathlib import Path
from typing import Final
from xml.parsers import expat

from adapters.repodata.compression import decompress
from adapters.repodata.errors import content_error
from adapters.repodata.xml_reader import MAX_DEPTH, MAX_TEXT_LENGTH, feed, local_name
from adapters.scap.benchmark import Benchmark, Group, Profile, Rule, ValueReference
from domain.errors import ConfigurationError, UnavailableError

# Bytes of XML. The largest datastream of the SCAP Security Guide has about 40 million.
_MAX_SIZE: Final = 256 * 1024 * 1024
# Bytes of memory for profiles, rules and values; those of RHEL 9 take about 3 million.
_MAX_MEMORY: Final = 64 * 1024 * 1024
# Bytes of memory for an entry, in addition to its texts.
_ENTRY_OVERHEAD: Final = 300
_MAX_PROFILES: Final = 200
# Seconds to read a datastream; a large one takes two.
_TIMEOUT: Final = 300
# The system of fixes that are osbuild blueprints.
_OSBUILD: Final = "urn:redhat:osbuild:blueprint"
_ITEMS: Final = frozenset({"Group", "Rule", "Value", "Profile"})


def read_datastream(path: Path) -> tuple[Benchmark, ...]:
    """Read the benchmarks of a file, which may be compressed (gzip, xz, zstd, bzip2).

    Raises ConfigurationError, which names the file if it cannot be read, is not a valid datastream, has no profiles, or
    is too large.
    """
    try:
        if not path.is_file():  # reading from a pipe could block for ever
            raise ConfigurationError(f"{path}: is not there, or not a regular file")
        with path.open("rb") as file:
            return parse_datastream(decompress(file, time.monotonic() + _TIMEOUT))
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
    except UnavailableError as error:
        raise ConfigurationError(f"{path}: {error.detail}") from None


def parse_datastream(pieces: Iterable[bytes]) -> tuple[Benchmark, ...]:
    """Parse the benchmarks of the XML. Raises UnavailableError if it is not a valid datastream with profiles."""
    parser = expat.ParserCreate(intern={})
    parser.buffer_text = True
    reader = _DatastreamReader(parser)
    try:
        feed(parser, _limit_size(pieces))
    finally:
        reader.release()
    if not any(benchmark.profiles for benchmark in reader.benchmarks):
        raise content_error("the datastream has no profiles")
    return tuple(reader.benchmarks)


def _limit_size(pieces: Iterable[bytes]) -> Iterator[bytes]:
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > _MAX_SIZE:
            raise content_error(f"the datastream is larger than {_MAX_SIZE} bytes")
        yield piece


class _DatastreamReader:
    """The callbacks of the parser.

    Elements are recognised by their local names and by the elements that contain them.
    """

    def __init__(self, parser: expat.XMLParserType) -> None:
        self.benchmarks: list[Benchmark] = []
        self._parser = parser
        self._remaining_memory = _MAX_MEMORY
        self._path: list[str] = []
        # The depths of the benchmark, the groups and the item (profile, rule or value) that are being read; 0 for none.
        self._benchmark_depth = 0
        self._groups: list[tuple[int, str]] = []
        self._item: Profile | Rule | dict[str, str] | None = None
        self._item_depth = 0
        # The depth of the element whose text is being read, the text so far and its length, and the value id or
        # selector that the text belongs to.
        self._text_depth = 0
        self._text: list[str | ValueReference] = []
        self._length = 0
        self._text_for = ""
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end

    def release(self) -> None:
        """Break the reference cycle of parser and callbacks, so that both are freed at once."""
        self._parser.StartElementHandler = None
        self._parser.EndElementHandler = None
        self._parser.CharacterDataHandler = None

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        local = local_name(name)
        if not self._path and local != "data-stream-collection":
            raise content_error("this is no SCAP source datastream")
        if len(self._path) >= MAX_DEPTH:
            raise content_error(f"elements are nested more than {MAX_DEPTH} deep")
        self._path.append(local)
        depth = len(self._path)
        if self._text_depth:
            if local == "sub":
                self._count_memory(attributes.get("idref", ""))
                self._text.append(ValueReference(attributes.get("idref", "")))
        elif not self._benchmark_depth:
            if local == "Benchmark":
                self._benchmark_depth = depth
                self.benchmarks.append(Benchmark())
        elif self._item is not None:
            if depth == self._item_depth + 1:
                self._begin_child(local, attributes)
        elif local in _ITEMS and depth == (self._groups[-1][0] if self._groups else self._benchmark_depth) + 1:
            self._begin_item(local, attributes)

    def _begin_item(self, kind: str, attributes: dict[str, str]) -> None:
        """Handle the begin of a group, rule, value or profile."""
        benchmark, id_, extends = self.benchmarks[-1], attributes.get("id", ""), attributes.get("extends")
        self._count_memory(id_, extends or "")
        if not id_ or id_ in self._items_of(kind):
            raise content_error(f"the benchmark has a {kind} without an id, or two with the id {id_}")
        parent = self._groups[-1][1] if self._groups else None
        selected = _is_true(attributes.get("selected", "true"))
        if kind == "Group":
            benchmark.groups[id_] = Group(selected, parent)
            self._groups.append((len(self._path), id_))
            return
        self._item_depth = len(self._path)
        if kind == "Rule":
            self._item = benchmark.rules[id_] = Rule(selected, parent)
        elif kind == "Value":
            self._item = benchmark.values[id_] = {}
        else:
            self._item = benchmark.profiles[id_] = Profile(extends)
            if len(benchmark.profiles) > _MAX_PROFILES:
                raise content_error(f"the benchmark has more than {_MAX_PROFILES} profiles")

    def _items_of(self, kind: str) -> Container[str]:
        benchmark = self.benchmarks[-1]
        by_kind: dict[str, Container[str]] = {
            "Group": benchmark.groups,
            "Rule": benchmark.rules,
            "Value": benchmark.values,
            "Profile": benchmark.profiles,
        }
        return by_kind[kind]

    def _begin_child(self, local: str, attributes: dict[str, str]) -> None:
        """Handle the start tag of a child of a rule, value or profile."""
        idref, selector = attributes.get("idref", ""), attributes.get("selector", "")
        if isinstance(self._item, Profile):
            if local == "select":
                self._count_memory(idref)
                self._item.selected[idref] = _is_true(attributes.get("selected", ""))
            elif local == "refine-value":
                self._count_memory(idref, selector)
                self._item.selectors[idref] = selector
            elif local in {"title", "description", "set-value"}:
                self._begin_text(idref)
        elif isinstance(self._item, Rule):
            if local == "fix" and attributes.get("system") == _OSBUILD and not self._item.fix:
                self._begin_text("")
        elif local == "value":
            self._begin_text(selector)

    def _end(self, _name: str) -> None:
        depth = len(self._path)
        if self._text_depth == depth:
            self._end_text()
        elif self._item_depth == depth:
            self._item, self._item_depth = None, 0
        elif self._groups and self._groups[-1][0] == depth:
            self._groups.pop()
        elif self._benchmark_depth == depth:
            self._benchmark_depth = 0
        self._path.pop()

    def _begin_text(self, text_for: str) -> None:
        self._text_depth, self._text_for = len(self._path), text_for
        self._text, self._length = [], 0
        self._parser.CharacterDataHandler = self._characters

    def _characters(self, text: str) -> None:
        self._length += len(text)
        if self._length > MAX_TEXT_LENGTH:
            raise content_error(f"an element's text is longer than {MAX_TEXT_LENGTH} characters")
        self._text.append(text)

    def _end_text(self) -> None:
        text = "".join(part for part in self._text if isinstance(part, str))
        self._count_memory(text, self._text_for)
        self._parser.CharacterDataHandler = None
        self._text_depth = 0
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

    def _count_memory(self, *texts: str) -> None:
        """Count the memory that an entry with these texts takes. Raises UnavailableError beyond the limit."""
        self._remaining_memory -= _ENTRY_OVERHEAD + sum(map(sys.getsizeof, texts))
        if self._remaining_memory < 0:
            raise content_error("the datastream has more profiles, rules and values than fit into memory")


def _is_true(text: str) -> bool:
    return text.strip() in {"true", "1"}
