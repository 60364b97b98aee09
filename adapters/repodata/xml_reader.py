"""A streaming XML parser with limits on nesting, lengths and memory."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Final, Protocol
from xml.parsers import expat

from adapters.repodata.errors import add_context, content_error
from domain.errors import UnavailableError

MAX_DEPTH: Final = 64  # levels of nesting
MAX_TEXT_LENGTH: Final = 64 * 1024  # characters of one element
_MAX_TAG_LENGTH: Final = 1024 * 1024  # bytes including attributes; expat buffers a whole tag
_MAX_NAMES: Final = 10_000  # different names of elements and attributes; expat stores each
_MAX_NAMES_LENGTH: Final = 4 * 1024 * 1024  # total characters of these names
_MAX_TREE_ELEMENTS: Final = 20_000  # of `read_tree`: a 4-byte `<a/>` becomes an object of hundreds of bytes


class Handler(Protocol):
    """Receives the elements of a document down to the depth `deepest`; the depth of the root is 0.

    Deeper elements are ignored, up to MAX_DEPTH, beyond which parsing fails. Names of elements are passed without their
    namespace prefix; names of attributes keep theirs.
    """

    deepest: int

    def start(self, depth: int, name: str, attributes: dict[str, str]) -> bool:
        """Handle the start tag of an element; return whether `end` needs the element's text."""

    def end(self, depth: int, name: str, text: str) -> None:
        """Handle the end of an element; `text` is empty if `start` returned False.

        The text is stripped of white space. It is empty for an element with child elements that are passed, because
        text beside them is dropped; for an element at the depth `deepest` it includes the text of all elements below.
        """


def read_elements(pieces: Iterable[bytes], handler: Handler) -> None:
    """Parse the document and pass its elements to the handler.

    Raises UnavailableError for invalid XML, an exceeded limit, or a document type declaration.
    """
    parser = expat.ParserCreate(intern={})
    parser.buffer_text = True
    reader = _ElementReader(handler, parser)
    try:
        feed(parser, pieces)
    finally:
        reader.release()


def feed(parser: expat.XMLParserType, pieces: Iterable[bytes]) -> None:
    """Feed `pieces` to `parser`, whose StartElementHandler and other callbacks the caller has set.

    The parser must have an `intern` dictionary, which is used to count names. Raises UnavailableError if the document
    is not valid XML, exceeds a limit, or has a document type declaration, which could define entities.
    """
    parser.StartDoctypeDeclHandler = _refuse_document_type
    bytes_fed = names_checked = 0
    try:
        for piece in pieces:
            parser.Parse(piece)
            bytes_fed += len(piece)
            # Bytes that are fed but not yet parsed are an unfinished token, which expat buffers as a whole.
            if bytes_fed - max(parser.CurrentByteIndex, 0) > _MAX_TAG_LENGTH + len(piece):
                raise content_error(f"a tag or a comment is longer than {_MAX_TAG_LENGTH} bytes")
            if len(parser.intern) > names_checked:
                names_checked = len(parser.intern)
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
    """The callbacks of a parser, which call a Handler."""

    def __init__(self, handler: Handler, parser: expat.XMLParserType) -> None:
        self._handler = handler
        self._parser = parser
        self._deepest = min(handler.deepest, MAX_DEPTH)
        self._depth = -1
        self._needs_text: list[bool] = []
        self._text: list[str] = []
        self._length = 0
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end

    def release(self) -> None:
        """Break the reference cycle of parser and callbacks, so that a large parser is freed at once.

        StartDoctypeDeclHandler stays, because it is a plain function without a reference to the parser.
        """
        self._parser.StartElementHandler = None
        self._parser.EndElementHandler = None
        self._parser.CharacterDataHandler = None

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > self._deepest:  # fast path: in repository metadata most elements are this deep
            if self._depth > MAX_DEPTH:
                raise content_error(f"elements are nested more than {MAX_DEPTH} deep")
            return
        needs_text = self._handler.start(self._depth, local_name(name), attributes)
        self._needs_text.append(needs_text)
        if needs_text:
            self._text, self._length = [], 0
        self._parser.CharacterDataHandler = self._characters if needs_text else None

    def _end(self, name: str) -> None:
        if self._depth <= self._deepest:
            text = "".join(self._text).strip() if self._needs_text.pop() else ""
            self._parser.CharacterDataHandler = None
            self._text = []  # drops the parent's text before this element
            self._handler.end(self._depth, local_name(name), text)
        self._depth -= 1

    def _characters(self, text: str) -> None:
        self._length += len(text)
        if self._length > MAX_TEXT_LENGTH:
            raise content_error(f"an element's text is longer than {MAX_TEXT_LENGTH} characters")
        self._text.append(text)


def local_name(name: str) -> str:
    """Return the name of an element or attribute without its namespace prefix."""
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

    def find_all(self, *names: str) -> list[Element]:
        """Return the elements at the path `names` below this one, in document order."""
        matches = [self]
        for name in names:
            matches = [child for element in matches for child in element.children if child.name == name]
        return matches

    def text_at(self, *names: str) -> str | None:
        """Return the text of the first element at the path `names`; None if there is no such element."""
        matches = self.find_all(*names)
        return matches[0].text if matches else None


def read_tree(content: bytes, what: str) -> Element:
    """Parse a small document and return its root.

    Raises UnavailableError, whose message starts with `what`, the document's name.
    """
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
        self.root = Element("")  # replaced by the first element
        self._open: list[Element] = []
        self._elements = 0

    def start(self, depth: int, name: str, attributes: dict[str, str]) -> bool:
        self._elements += 1
        if self._elements > _MAX_TREE_ELEMENTS:
            raise content_error(f"there are more than {_MAX_TREE_ELEMENTS} elements")
        element = Element(name, {local_name(key): value for key, value in attributes.items()})
        if depth:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)
        return True

    def end(self, depth: int, name: str, text: str) -> None:  # noqa: ARG002 - arguments of Handler
        self._open.pop().text = text
