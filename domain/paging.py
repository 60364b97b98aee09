"""Pages of a list."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from typing import Final, Self
from uuid import UUID

from domain.errors import InvalidRequestError
from domain.uuids import is_uuid

# Bytes of the checksum that a cursor begins with.
_CHECKSUM: Final = 9
_DIRECTIONS: Final = {"after": False, "before": True}


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list: up to `limit` entries, beginning with the entry number `offset`, counted from 0."""

    limit: int
    offset: int


@dataclass(frozen=True, slots=True)
class Cursor:
    """A position in a sorted list: next to the entry with this `key` (as the store formats it) and `id`.

    `sort` is the order of the list. The page of a cursor is the one after the entry, or before it if `backward`. A
    page by cursor does not shift when entries are added, and does not read the entries of other pages.
    """

    sort: str
    key: str
    id: UUID
    backward: bool = False

    def encode(self, tenant: str) -> str:
        """The cursor as text for a link of this tenant."""
        direction = next(name for name, backward in _DIRECTIONS.items() if backward == self.backward)
        document = json.dumps([self.sort, direction, self.key, str(self.id)], ensure_ascii=False).encode()
        return base64.urlsafe_b64encode(_checksum(tenant, document) + document).rstrip(b"=").decode()

    @classmethod
    def parse(cls, text: str, tenant: str, sort: str) -> Self:
        """The cursor of a text.

        Its checksum finds a changed text, and a link of another tenant. It is no signature, because a cursor needs
        none: whatever it holds, the page shows entries of the caller's tenant only.

        Raises InvalidRequestError if the text is not a result of `encode` for this tenant, or belongs to another order
        than `sort`.
        """
        try:
            data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            document = data[_CHECKSUM:]
            if data[:_CHECKSUM] != _checksum(tenant, document):
                raise invalid_cursor_error()
            made_for, direction, key, id_ = json.loads(document)
            cursor = cls(made_for, key, UUID(id_), _DIRECTIONS[direction])
            is_ours = isinstance(key, str) and "\0" not in key and is_uuid(id_) and cursor.encode(tenant) == text
        except (binascii.Error, ValueError, TypeError, LookupError, AttributeError, RecursionError):
            raise invalid_cursor_error() from None
        if not is_ours:
            raise invalid_cursor_error()
        if made_for != sort:
            raise InvalidRequestError("cursor: belongs to a list with another sort; begin again without a cursor")
        return cursor


def _checksum(tenant: str, document: bytes) -> bytes:
    return hashlib.sha256(tenant.encode() + b"\0" + document).digest()[:_CHECKSUM]


def invalid_cursor_error() -> InvalidRequestError:
    """Create the error for a cursor that is not from a link of the list."""
    return InvalidRequestError("cursor: not valid; use the cursor of links.next or links.prev of this list")
