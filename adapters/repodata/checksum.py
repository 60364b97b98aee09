"""Checksums as repository metadata has them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final

from marshmallow import EXCLUDE, Schema, fields, post_load, validate

from adapters.repodata.errors import content_error

# `sha` is what createrepo of old called SHA-1. MD5 no longer tells anything.
_TYPES: Final = ("sha", "sha1", "sha224", "sha256", "sha384", "sha512")
_HASHLIB: Final = {"sha": "sha1"}


@dataclass(frozen=True, slots=True)
class Checksum:
    """`type` is one of sha, sha1, sha224, sha256, sha384, sha512; `value` lower-case hexadecimal."""

    type: str
    value: str

    def digest(self) -> Digest:
        """A digest to feed with the content."""
        return Digest(self)


class Digest:
    """Content on its way to be compared with its checksum."""

    __slots__ = ("_expected", "_hash")

    def __init__(self, expected: Checksum) -> None:
        self._expected = expected
        name = _HASHLIB.get(expected.type, expected.type)
        self._hash = hashlib.new(name, usedforsecurity=False)

    def update(self, piece: bytes) -> None:
        """Take in the next piece."""
        self._hash.update(piece)

    def verify(self, what: str, promised_by: str) -> None:
        """Raises `UnavailableError` when the content was another one."""
        if self._hash.hexdigest() != self._expected.value:
            raise content_error(f"{what} does not have the {self._expected.type} checksum that {promised_by} gives")


class ChecksumSchema(Schema):
    """`{type, value}` of a `Checksum`."""

    class Meta:
        """Others' documents may say more than we know of."""

        unknown = EXCLUDE

    type = fields.String(required=True, validate=validate.OneOf(_TYPES, error="Is none of {choices}."))
    value = fields.String(required=True, validate=validate.Regexp(r"[0-9A-Fa-f]+\Z", error="Not hexadecimal."))

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> Checksum:
        return Checksum(data["type"], data["value"].lower())
