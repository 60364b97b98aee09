"""Who asks: the tenant, what they are entitled to, and what a row keeps of them (contract: identity header)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from domain.errors import ForbiddenError, UnauthenticatedError

# The name space of tenants that have no organization.
_ACCOUNT: Final = "account:"
# Bytes of an organization's id, an account number or a user name: together with a blueprint's name they have to fit
# into an entry of an index of the database, which holds 2,704 bytes.
LONGEST_ID: Final = 1000
# Bytes of an e-mail address: local part, at sign and domain (RFC 5321, section 4.5.3.1).
LONGEST_EMAIL: Final = 320


@dataclass(frozen=True, slots=True)
class Identity:
    """The caller.

    `tenant` is the key all rows and quotas hang on; `header` the identity header as received, for the back-ends
    that get it, or None where the caller has no Red Hat identity.
    """

    tenant: str
    account_number: str = ""
    email: str = ""
    entitled: bool = False
    header: str | None = None


@dataclass(frozen=True, slots=True)
class RedHatClaims:
    """What the `x-rh-identity` document says, as far as this service reads it; text is `""` where it says nothing.

    `entitlements` maps a bundle's name to `is_entitled`.
    """

    org_id: str
    account_number: str
    kind: str
    email: str
    entitlements: Mapping[str, bool]


def red_hat(claims: RedHatClaims, header: str) -> Identity:
    """The identity behind a platform header.

    An account number alone makes a tenant too, under a prefix: an organization may have the same digits. An e-mail
    address that is longer than LONGEST_EMAIL, or holds characters that cannot be printed, is left out: no build fails
    for it, and a part of it could be the address of another person.

    Raises UnauthenticatedError where there is no tenant key, or one of more than LONGEST_ID bytes or with characters
    that cannot be printed, and for an e-mail address with a NUL; ForbiddenError for an associate.
    """
    if claims.kind == "Associate":
        raise ForbiddenError("Associate identities may not use this service")
    org_id, account_number = claims.org_id.strip(), claims.account_number.strip()
    if not org_id and not account_number:
        raise UnauthenticatedError("The identity header names neither an organization nor an account")
    possible = _fits(org_id, LONGEST_ID) and _fits(account_number, LONGEST_ID) and "\0" not in claims.email
    if org_id.startswith(_ACCOUNT) or not possible:
        raise UnauthenticatedError("The identity header names no possible organization, account or e-mail address")
    return Identity(
        tenant=org_id or f"{_ACCOUNT}{account_number}",
        account_number=account_number,
        email=claims.email if _fits(claims.email, LONGEST_EMAIL) else "",
        entitled=claims.entitlements.get("rhel", bool(account_number)),
        header=header,
    )


def fedora(user: str) -> Identity:
    """The identity of a Fedora account: the user name is the tenant, and never entitled.

    Raises UnauthenticatedError for a blank name, and for one that `red_hat` would not take as an organization's id.
    """
    if not user.strip() or not _fits(user, LONGEST_ID):
        raise UnauthenticatedError("The identity header names no possible user")
    return Identity(tenant=user)


def _fits(text: str, longest: int) -> bool:
    """Whether a text has no more bytes than that, and only characters that can be printed: no NUL, no surrogate."""
    return text.isprintable() and len(text.encode()) <= longest
