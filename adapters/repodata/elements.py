"""A streaming XML parser with limits of nesting, lengths and memory."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Final, Protocol
from xml.parsers import expat

from adapters.repodata.errors import add_context, content_error
from domain.errors import UnavailableError

MAX_DEPTH: Final = 64  # levels of nesting
MAX_TEXT_LENGTH: Final = 64 * 1024  # characters of one element
_MAX_TAG_LENGTH: Final = 1024 * 1024  # bytes including attributes; expat holds a tag as a whole
_MAX_NAMES: Final = 10_000  # different names of elements and attributes; expat stores each
_MAX_NAMES_LENGTH: Final = 4 * 1024 * 1024  # characters of these names together
_MAX_ELEMENTS: Final = 20_000  # of a small document; an element of four bytes takes hundreds of bytes of memory


class Handler(Protocol):
    """Receives the elements of a document down to the depth `deepest`; the depth of the root is 0.

    Names of elements are passed without prefix.
    """

    deepest: int

    def start(self, depth: int, name: str, attributes: dict[str, str]) -> bool:
        """Handle the begin of an element; returns whether its text is wanted."""

    def end(self, depth: int, name: str, text: str) -> None:
        """Handle the end of an element; `text` is empty if it is not wanted."""


def read_elements(pieces: Iterable[bytes], handler: Handler) -> None:
    """Parse the document and pass its elements to the handler. Raises UnavailableError if it is no valid XML."""
    parser = expat.ParserCreate(intern={})
    parser.buffer_text = True
    reader = _ElementReader(handler, parser)
    try:
        feed(parser, pieces)
    finally:
        reader.release()


def feed(parser: expat.XMLParserType, pieces: Iterable[bytes]) -> None:
    """Parse the document with a parser whose handlers are set.

    The parser must have an `intern` dictionary, by which names are counted. Raises UnavailableError if the document is
    no valid XML, exceeds a limit, or has a document type declaration, which could define entities.
    """
    parser.StartDoctypeDeclHandler = _refuse_document_type
    fed = known = 0
    try:
        for piece in pieces:
            parser.Parse(piece)
            fed += len(piece)
            if fed - max(parser.CurrentByteIndex, 0) > _MAX_TAG_LENGTH + len(piece):
                raise content_error(f"a tag or a comment is longer than {_MAX_TAG_LENGTH} bytes")
            if len(parser.intern) > known:
                known = len(parser.intern)
                _check_names(parser.intern)
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise content_error(f"not XML: {error}") from None


def _check_names(names: Collection[str]) -> None:
    if len(names) > _MAX_NAMES:
        raise content_error(f"there are more than {_MAX_NAMES} names of elements and attributes")
    if sum(map(len, names)) > _MAX_NAMES_LENGTH:
        raise content_error(f"the names of elements and attributes have more than {_MAX_NAMES_LENGTH} characters")


class _ElementReader:
    """The callbacks of the parser, which call a Handler."""

    def __init__(self, handler: Handler, parser: expat.XMLParserType) -> None:
        self._handler = handler
        self._parser = parser
        self._deepest = min(handler.deepest, MAX_DEPTH)
        self._depth = -1
        self._wanted: list[bool] = []
        self._text: list[str] = []
        self._length = 0
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end

    def release(self) -> None:
        """Break the reference cycle of parser and callbacks, so that a large parser is freed at once."""
        self._parser.StartElementHandler = None
        self._parser.EndElementHandler = None
        self._parser.CharacterDataHandler = None

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > self._deepest:  # most elements of primary metadata are
            if self._depth > MAX_DEPTH:
                raise content_error(f"elements are nested more than {MAX_DEPTH} deep")
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
            self._text = []  # text between the children of an element is dropped
            self._handler.end(self._depth, local_name(name), text)
        self._depth -= 1

    def _characters(self, text: str) -> None:
        self._length += len(text)
        if self._length > MAX_TEXT_LENGTH:
            raise content_error(f"an element's text is longer than {MAX_TEXT_LENGTH} characters")
        self._text.append(text)


def local_name(name: str) -> str:
    """The name of an element or attribute without its prefix."""
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
        """The text of the first element at the path; None if there is no such element."""
        found = self.all(*path)
        return found[0].text if found else None


def read_tree(content: bytes, what: str) -> Element:
    """Parse a small document; returns its root. Raises UnavailableError, which begins with `what`."""
    tree = _TreeHandler()
    try:
        read_elements([content], tree)
    except UnavailableError as error:
        raise add_context(what, error) from None
    return tree.root


class _TreeHandler:
    """Builds a tree of elements. Implements Handler."""

    deepest = MAX_DEPTH

    def __init__(self) -> None:
        self.root = Element("")
        self._open: list[Element] = []
        self._elements = 0

    def start(self, depth: int, name: str, attributes: dict[str, str]) -> bool:
        self._elements += 1
        if self._elements > _MAX_ELEMENTS:
            raise content_error(f"there are more than {_MAX_ELEMENTS} elements")
        element = Element(name, {local_name(key): value for key, value in attributes.items()})
        if depth:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)
        return True

    def end(self, depth: int, name: str, text: str) -> None:  # noqa: ARG002 - arguments of Handler
        self._open.pop().text = text
