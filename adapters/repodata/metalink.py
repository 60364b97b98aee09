"""Parses metalinks: the mirrors of a repository, and the checksum of its repomd.xml."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from marshmallow import EXCLUDE, Schema, ValidationError, fields

from adapters.repodata.checksum import Checksum, ChecksumSchema
from adapters.repodata.errors import content_error
from adapters.repodata.xml_reader import Element, read_tree

_REPOMD: Final = "repodata/repomd.xml"
_MAX_MIRRORS: Final = 100
_MAX_URL_LENGTH: Final = 2048
# Checksum types in order of preference. Weaker ones do not protect against a malicious mirror.
_CHECKSUM_TYPES: Final = ("sha512", "sha384", "sha256")


@dataclass(frozen=True, slots=True)
class Metalink:
    """The checksum of repomd.xml, and the URLs of at most 100 mirrors in order of preference."""

    checksum: Checksum
    mirrors: tuple[str, ...]


def read_metalink(content: bytes) -> Metalink:
    """Parse a metalink. Raises UnavailableError, which names the fault.

    Checksums of older versions of repomd.xml (`alternates`) are ignored, so that outdated mirrors are skipped.
    """
    root = read_tree(content, "the metalink")
    files = [file for file in root.find_all("files", "file") if file.attributes.get("name") == "repomd.xml"]
    if root.name != "metalink" or not files:
        raise content_error("the metalink does not name repomd.xml")
    mirrors = sorted(_list_mirrors(files[0]), key=lambda mirror: -mirror[0])
    if not mirrors:
        raise content_error("the metalink names no http or https mirror")
    urls = list(dict.fromkeys(url for _, url in mirrors))
    return Metalink(_load_checksum(files[0]), tuple(urls[:_MAX_MIRRORS]))


def _load_checksum(file: Element) -> Checksum:
    values = {h.attributes.get("type"): h.text for h in file.find_all("verification", "hash")}
    for type_ in _CHECKSUM_TYPES:
        if type_ in values:
            try:
                checksum: Checksum = ChecksumSchema().load({"type": type_, "value": values[type_]})
            except ValidationError:
                raise content_error(f"the metalink's {type_} checksum is invalid") from None
            return checksum
    raise content_error("the metalink has no sha256 checksum of repomd.xml, nor a stronger one")


class _UrlSchema(Schema):
    class Meta:
        unknown = EXCLUDE

    preference = fields.Integer(load_default=0)
    address = fields.Url(required=True, schemes={"http", "https"}, require_tld=False)


def _list_mirrors(file: Element) -> Iterator[tuple[int, str]]:
    """Return preference and URL of each http or https mirror. Invalid URLs are skipped."""
    for element in file.find_all("resources", "url"):
        if len(element.text) > _MAX_URL_LENGTH:
            continue
        try:
            url: dict[str, Any] = _UrlSchema().load({**element.attributes, "address": element.text})
        except ValidationError:
            continue
        if url["address"].endswith("/" + _REPOMD):
            yield url["preference"], url["address"].removesuffix(_REPOMD)
