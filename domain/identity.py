"""Identities of callers, from the identity header (openapi.yaml, security schemes)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from domain.errors import ForbiddenError, UnauthenticatedError

# The prefix of the keys of tenants without an organization.
_ACCOUNT: Final = "account:"
# Bytes of an organization's id, an account number or a user name: together with a blueprint's name they must fit into
# an index entry of PostgreSQL, which is limited to 2,704 bytes.
LONGEST_ID: Final = 1000
# Bytes of an e-mail address: local part, at sign and domain (RFC 5321, section 4.5.3.1).
LONGEST_EMAIL: Final = 320
# Bytes of the name of a user or service account that is stored beside what they create.
LONGEST_USERNAME: Final = 255


@dataclass(frozen=True, slots=True)
class Identity:
    """The caller.

    `tenant` is the key of all rows and quotas. `entitled`: the caller has the entitlement for RHEL. `header` is the
    identity header as received, which is passed on to back-ends; None for a caller without a Red Hat identity.
    `username` is that of the user or service account, "" for unknown.
    """

    tenant: str
    account_number: str = ""
    email: str = ""
    entitled: bool = False
    header: str | None = None
    username: str = ""


@dataclass(frozen=True, slots=True)
class RedHatClaims:
    """The values of an `x-rh-identity` document that this service uses; missing texts are `""`.

    `entitlements` maps the name of a bundle to its `is_entitled`.
    """

    org_id: str
    account_number: str
    kind: str
    email: str
    username: str
    entitlements: Mapping[str, bool]


def red_hat_identity(claims: RedHatClaims, header: str) -> Identity:
    """Return the identity of a caller with a Red Hat identity header.

    A caller without an organization is identified by the account number with a prefix, because an organization may have
    the same digits. An e-mail address that is longer than LONGEST_EMAIL or not printable is ignored: a build must not
    fail because of it, and a shortened address could be that of another person.

    Raises UnauthenticatedError if organization and account are missing, longer than LONGEST_ID bytes or not
    printable, and for an e-mail address with NUL; ForbiddenError for an associate.
    """
    if claims.kind == "Associate":
        raise ForbiddenError("Associate identities may not use this service")
    org_id, account_number = claims.org_id.strip(), claims.account_number.strip()
    if not org_id and not account_number:
        raise UnauthenticatedError("The identity header names neither an organization nor an account")
    is_usable = _is_usable(org_id, LONGEST_ID) and _is_usable(account_number, LONGEST_ID) and "\0" not in claims.email
    if org_id.startswith(_ACCOUNT) or not is_usable:
        raise UnauthenticatedError("The identity header names no possible organization, account or e-mail address")
    return Identity(
        tenant=org_id or f"{_ACCOUNT}{account_number}",
        account_number=account_number,
        email=claims.email if _is_usable(claims.email, LONGEST_EMAIL) else "",
        entitled=claims.entitlements.get("rhel", bool(account_number)),
        header=header,
        username=_username(claims.username),
    )


def fedora_identity(user: str) -> Identity:
    """Return the identity of a Fedora account: the user name is the tenant, which is never entitled.

    Raises UnauthenticatedError for a blank name, and for one that is longer than LONGEST_ID bytes or not printable.
    """
    if not user.strip() or not _is_usable(user, LONGEST_ID):
        raise UnauthenticatedError("The identity header names no possible user")
    return Identity(tenant=user, username=_username(user))


def _username(name: str) -> str:
    """The name, or "" if it is longer than LONGEST_USERNAME or not printable: nothing must fail because of it."""
    return name if _is_usable(name, LONGEST_USERNAME) else ""


def _is_usable(text: str, longest: int) -> bool:
    """Return whether a text has at most `longest` bytes and only printable characters (no NUL, no surrogates)."""
    return text.isprintable() and len(text.encode()) <= longest
