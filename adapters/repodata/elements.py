"""XML as it comes, piece by piece, within bounds."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Final, Protocol
from xml.parsers import expat

from adapters.repodata.errors import add_context, content_error
from domain.errors import UnavailableError

DEEPEST: Final = 64
LONGEST_TEXT: Final = 64 * 1024  # characters of one element
_LONGEST_TAG: Final = 1024 * 1024  # bytes, attributes included; expat holds a tag as a whole
_MOST_NAMES: Final = 10_000  # of elements and attributes; expat keeps each
_LONGEST_NAMES: Final = 4 * 1024 * 1024  # characters of all of them
_MOST_ELEMENTS: Final = 20_000  # of a small document; each takes a hundred times its four bytes


class Handler(Protocol):
    """Who wants to know what is in a document, down to the depth `deepest`; the depth of its root is 0.

    Names of elements come without their prefix.
    """

    deepest: int

    def start(self, depth: int, name: str, attributes: dict[str, str]) -> bool:
        """An element begins; whether its text is wanted."""

    def end(self, depth: int, name: str, text: str) -> None:
        """An element ends; `text` is empty where it was not wanted."""


def read_elements(pieces: Iterable[bytes], handler: Handler) -> None:
    """Hand all elements of the document to the handler; raises `UnavailableError` when it is not sound XML."""
    parser = expat.ParserCreate(intern={})
    parser.buffer_text = True
    reading = _Reading(handler, parser)
    try:
        feed(parser, pieces)
    finally:
        reading.release()


def feed(parser: expat.XMLParserType, pieces: Iterable[bytes]) -> None:
    """Parse the document, whose handlers are set. Document types, and with them entities, are refused.

    The parser is one with `intern`, which its names are counted by. Raises `UnavailableError` when the document is not
    sound XML, or would take too much memory.
    """
    parser.StartDoctypeDeclHandler = _refuse_document_type
    fed = known = 0
    try:
        for piece in pieces:
            parser.Parse(piece)
            fed += len(piece)
            if fed - max(parser.CurrentByteIndex, 0) > _LONGEST_TAG + len(piece):
                raise content_error(f"a tag or a comment is longer than {_LONGEST_TAG} bytes")
            if len(parser.intern) > known:
                known = len(parser.intern)
                _bound_names(parser.intern)
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise content_error(f"not XML: {error}") from None


def _bound_names(names: Collection[str]) -> None:
    if len(names) > _MOST_NAMES:
        raise content_error(f"there are more than {_MOST_NAMES} names of elements and attributes")
    if sum(map(len, names)) > _LONGEST_NAMES:
        raise content_error(f"the names of elements and attributes have more than {_LONGEST_NAMES} characters")


class _Reading:
    def __init__(self, handler: Handler, parser: expat.XMLParserType) -> None:
        self._handler = handler
        self._parser = parser
        self._deepest = min(handler.deepest, DEEPEST)
        self._depth = -1
        self._wanted: list[bool] = []
        self._text: list[str] = []
        self._length = 0
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end

    def release(self) -> None:
        """Parser and handlers refer to each other; a primary's parser is not left to the garbage collector."""
        self._parser.StartElementHandler = None
        self._parser.EndElementHandler = None
        self._parser.CharacterDataHandler = None

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > self._deepest:  # most of a primary is
            if self._depth > DEEPEST:
                raise content_error(f"elements are nested more than {DEEPEST} deep")
            return
        wanted = self._handler.start(self._depth, local_name(name), attributes)
        self._wanted.append(wanted)
        if wanted:
            self._text, self._length = [], 0
        self._parser.CharacterDataHandler = self._characters if wanted else None

    def _end(self, name: str) -> None:
        if self._depth <= self._deepest:
            text = "".join(self._text).strip() if self._wanted.pop() else ""
            self._parser.CharacterDataHandler = None
            self._text = []  # what is around an element's children is nobody's
            self._handler.end(self._depth, local_name(name), text)
        self._depth -= 1

    def _characters(self, text: str) -> None:
        self._length += len(text)
        if self._length > LONGEST_TEXT:
            raise content_error(f"an element's text is longer than {LONGEST_TEXT} characters")
        self._text.append(text)


def local_name(name: str) -> str:
    """The name without its prefix."""
    return name.rpartition(":")[2]


def _refuse_document_type(*_: object) -> None:
    raise content_error("it declares a document type, which is refused")


@dataclass(slots=True)
class Element:
    """An element of a small document."""

    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def all(self, *path: str) -> list[Element]:
        """The elements at the path below this one, in document order."""
        found = [self]
        for name in path:
            found = [child for element in found for child in element.children if child.name == name]
        return found

    def text_at(self, *path: str) -> str | None:
        """The text of the first element at the path; None where there is none."""
        found = self.all(*path)
        return found[0].text if found else None


def read_tree(content: bytes, what: str) -> Element:
    """The root of a small document; raises `UnavailableError` saying that `what` is not sound XML."""
    tree = _Tree()
    try:
        read_elements([content], tree)
    except UnavailableError as error:
        raise add_context(what, error) from None
    return tree.root


class _Tree:
    deepest = DEEPEST

    def __init__(self) -> None:
        self.root = Element("")
        self._open: list[Element] = []
        self._elements = 0

    def start(self, depth: int, name: str, attributes: dict[str, str]) -> bool:
        self._elements += 1
        if self._elements > _MOST_ELEMENTS:
            raise content_error(f"there are more than {_MOST_ELEMENTS} elements")
        element = Element(name, {local_name(key): value for key, value in attributes.items()})
        if depth:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)
        return True

    def end(self, depth: int, name: str, text: str) -> None:  # noqa: ARG002 - the handler's
        self._open.pop().text = text
