"""Metalinks: the mirrors of a repository, and the checksum its repomd.xml must have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from marshmallow import EXCLUDE, Schema, ValidationError, fields

from adapters.repodata.checksum import Checksum, ChecksumSchema
from adapters.repodata.elements import Element, read_tree
from adapters.repodata.errors import content_error

_REPOMD: Final = "repodata/repomd.xml"
_MOST_MIRRORS: Final = 100
_LONGEST_ADDRESS: Final = 2048
# Of the checksums that are given the first one counts; weaker ones are no reason to trust a stranger's mirror.
_STRONG: Final = ("sha512", "sha384", "sha256")


@dataclass(frozen=True, slots=True)
class Metalink:
    """`checksum` is that of repomd.xml; `mirrors` are addresses of repositories, preferred ones first, at most 100."""

    checksum: Checksum
    mirrors: tuple[str, ...]


def read_metalink(content: bytes) -> Metalink:
    """The metalink of a repository; raises `UnavailableError` naming what is wrong with it.

    Checksums of older repomd.xml (`alternates`) do not count: a mirror that lags behind is passed over.
    """
    root = read_tree(content, "the metalink")
    files = [file for file in root.all("files", "file") if file.attributes.get("name") == "repomd.xml"]
    if root.name != "metalink" or not files:
        raise content_error("the metalink does not name repomd.xml")
    mirrors = sorted(_mirrors(files[0]), key=lambda mirror: -mirror[0])
    if not mirrors:
        raise content_error("the metalink names no http or https mirror")
    addresses = list(dict.fromkeys(address for _, address in mirrors))
    return Metalink(_checksum(files[0]), tuple(addresses[:_MOST_MIRRORS]))


def _checksum(file: Element) -> Checksum:
    given = {h.attributes.get("type"): h.text for h in file.all("verification", "hash")}
    for type_ in _STRONG:
        if type_ in given:
            try:
                checksum: Checksum = ChecksumSchema().load({"type": type_, "value": given[type_]})
            except ValidationError:
                raise content_error(f"the metalink's {type_} checksum is invalid") from None
            return checksum
    raise content_error("the metalink has no sha256 checksum of repomd.xml, nor a stronger one")


class _UrlSchema(Schema):
    class Meta:
        unknown = EXCLUDE

    preference = fields.Integer(load_default=0)
    address = fields.Url(required=True, schemes={"http", "https"}, require_tld=False)


def _mirrors(file: Element) -> Iterator[tuple[int, str]]:
    """Preference and address of each usable mirror: rsync and ftp are of no use, nor is one that is misspelt."""
    for element in file.all("resources", "url"):
        if len(element.text) > _LONGEST_ADDRESS:
            continue
        try:
            url: dict[str, Any] = _UrlSchema().load({**element.attributes, "address": element.text})
        except ValidationError:
            continue
        if url["address"].endswith("/" + _REPOMD):
            yield url["preference"], url["address"].removesuffix(_REPOMD)
