"""Parses repomd.xml: the location, sizes and checksums of a repository's primary metadata."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from marshmallow import EXCLUDE, Schema, ValidationError, fields, post_load, validate

from adapters.repodata.checksum import Checksum, ChecksumSchema
from adapters.repodata.errors import content_error, permanent_error
from adapters.repodata.xml_reader import Element, read_tree
from domain.nulls import without_nulls

# Bytes of a primary as downloaded; Fedora's has about 20 million.
LARGEST_PRIMARY: Final = 512 * 1024 * 1024
# Bytes of a primary after decompression; Fedora's has about 200 million.
LARGEST_OPEN_PRIMARY: Final = 2 * 1024 * 1024 * 1024
# A path segment after percent-decoding. It must not be `.` or `..`, nor contain characters that a server or a proxy
# could treat as a separator, an escape, or the beginning of a scheme, query or parameter.
_SEGMENT: Final = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._~+=@,-]+")


@dataclass(frozen=True, slots=True)
class Primary:
    """The entry of the primary metadata in repomd.xml.

    `location` is relative to the repository. `size` and `open_size` are the bytes as downloaded and after
    decompression; each is the allowed maximum if repomd.xml does not contain it.
    """

    location: str
    checksum: Checksum
    size: int
    open_size: int
    open_checksum: Checksum | None


def read_repomd(content: bytes) -> Primary:
    """Parse repomd.xml. Raises UnavailableError, which names the fault."""
    root = read_tree(content, "repomd.xml")
    entries = [data for data in root.find_all("data") if data.attributes.get("type") == "primary"]
    if root.name != "repomd" or not entries:
        raise content_error("repomd.xml names no primary")
    try:
        primary: Primary = _PrimarySchema().load(_to_document(entries[0]))
    except ValidationError as error:
        raise permanent_error(f"repomd.xml: the primary's {_get_first_message(error.messages)}") from None
    return primary


def _to_document(data: Element) -> dict[str, object]:
    document: dict[str, object] = {"location": _get_attribute(data, "location", "href")}
    for name in ("checksum", "open-checksum"):
        for element in data.find_all(name)[:1]:
            document[name] = {"type": element.attributes.get("type"), "value": element.text}
    for name in ("size", "open-size"):
        document[name] = data.text_at(name)
    return without_nulls(document)


def _get_attribute(data: Element, name: str, attribute: str) -> str | None:
    elements = data.find_all(name)
    return elements[0].attributes.get(attribute) if elements else None


def _get_first_message(messages: Any, place: str = "") -> str:
    """Return the first of marshmallow's nested messages, such as `checksum.type: Is none of …`."""
    if isinstance(messages, dict):
        key, inner = next(iter(messages.items()))
        return _get_first_message(inner, f"{place}.{key}" if place else str(key))
    return f"{place}: {messages[0]}"


def _is_inside(location: str) -> None:
    if not all(_SEGMENT.fullmatch(unquote(segment)) for segment in location.split("/")):
        raise ValidationError("Leads out of the repository, or is no plain relative path.")


def _size(largest: int, name: str) -> fields.Integer:
    allowed = validate.Range(0, largest, error=f"More than {largest} bytes.")
    return fields.Integer(load_default=largest, data_key=name, validate=allowed)


class _PrimarySchema(Schema):
    class Meta:
        unknown = EXCLUDE

    location = fields.String(required=True, validate=[validate.Length(1, 4096), _is_inside])
    checksum = fields.Nested(ChecksumSchema, required=True)
    size = _size(LARGEST_PRIMARY, "size")
    open_size = _size(LARGEST_OPEN_PRIMARY, "open-size")
    open_checksum = fields.Nested(ChecksumSchema, load_default=None, data_key="open-checksum")

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> Primary:
        return Primary(**data)
