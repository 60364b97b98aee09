"""Who asks: the tenant, what they are entitled to, and what a row keeps of them (contract: identity header)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from domain.errors import ForbiddenError, UnauthenticatedError

# The name space of tenants that have no organization.
_ACCOUNT: Final = "account:"


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

    An account number alone makes a tenant too, under a prefix: an organization may have the same digits.

    Raises UnauthenticatedError where there is no tenant key, ForbiddenError for an associate.
    """
    if claims.kind == "Associate":
        raise ForbiddenError("Associate identities may not use this service")
    org_id, account_number = claims.org_id.strip(), claims.account_number.strip()
    if not org_id and not account_number:
        raise UnauthenticatedError("The identity header names neither an organization nor an account")
    if org_id.startswith(_ACCOUNT) or "\0" in org_id + account_number + claims.email:
        raise UnauthenticatedError("The identity header names no possible organization")
    return Identity(
        tenant=org_id or f"{_ACCOUNT}{account_number}",
        account_number=account_number,
        email=claims.email,
        entitled=claims.entitlements.get("rhel", bool(account_number)),
        header=header,
    )


def fedora(user: str) -> Identity:
    """The identity of a Fedora account: the user name is the tenant, and never entitled.

    Raises UnauthenticatedError for a blank name.
    """
    if not user.strip() or "\0" in user:
        raise UnauthenticatedError("The identity header names no user")
    return Identity(tenant=user)
