"""Checksums in repository metadata, and their verification."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final

from marshmallow import EXCLUDE, Schema, fields, post_load, validate

from adapters.repodata.errors import content_error

# `sha` is the name of SHA-1 in old repositories. MD5 is not allowed, because it is broken.
_TYPES: Final = ("sha", "sha1", "sha224", "sha256", "sha384", "sha512")
_HASHLIB: Final = {"sha": "sha1"}


@dataclass(frozen=True, slots=True)
class Checksum:
    """A checksum. `type` is one of sha, sha1, sha224, sha256, sha384 and sha512; `value` is lower-case hexadecimal."""

    type: str
    value: str

    def digest(self) -> Digest:
        """Return a Digest that compares content with this checksum."""
        return Digest(self)


class Digest:
    """Computes the checksum of content that arrives in pieces, and compares it with the expected one."""

    __slots__ = ("_expected", "_hash")

    def __init__(self, expected: Checksum) -> None:
        self._expected = expected
        name = _HASHLIB.get(expected.type, expected.type)
        self._hash = hashlib.new(name, usedforsecurity=False)

    def update(self, piece: bytes) -> None:
        """Add the next piece of the content."""
        self._hash.update(piece)

    def verify(self, what: str, source: str) -> None:
        """Raise UnavailableError if the content differs from the checksum.

        For the error, `what` is the name of the content, and `source` the name of the file that contains the checksum.
        """
        if self._hash.hexdigest() != self._expected.value:
            raise content_error(f"{what} does not have the {self._expected.type} checksum that {source} gives")


class ChecksumSchema(Schema):
    """Loads a Checksum from `{type, value}`."""

    class Meta:
        """Documents of other projects may have keys that this service does not know."""

        unknown = EXCLUDE

    type = fields.String(required=True, validate=validate.OneOf(_TYPES, error="Is none of {choices}."))
    value = fields.String(required=True, validate=validate.Regexp(r"[0-9A-Fa-f]+\Z", error="Not hexadecimal."))

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> Checksum:
        return Checksum(data["type"], data["value"].lower())
