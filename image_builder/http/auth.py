"""The identity header, as the gateway sets it, into an Identity."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Final

import orjson
from marshmallow import EXCLUDE, Schema, ValidationError, fields, post_load

from domain.errors import UnauthenticatedError
from domain.identity import Identity, RedHatClaims, fedora_identity, red_hat_identity

Authenticate = Callable[[Iterable[tuple[bytes, bytes]]], Identity]

_NOT_AN_IDENTITY: Final = "The identity header is not base64 of an identity document"
_LONGEST: Final = 16_384
# The same few headers come again and again: the console polls each row. Long ones are read each time.
_REMEMBERED: Final = 1024
_LONGEST_REMEMBERED: Final = 2048


class _Lenient(Schema):
    class Meta:
        unknown = EXCLUDE


class _InternalSchema(_Lenient):
    org_id = fields.String(allow_none=True)


class _UserSchema(_Lenient):
    email = fields.String(allow_none=True)


class _IdentitySchema(_Lenient):
    org_id = fields.String(allow_none=True)
    account_number = fields.String(allow_none=True)
    type = fields.String(allow_none=True)
    internal = fields.Nested(_InternalSchema, allow_none=True)
    user = fields.Nested(_UserSchema, allow_none=True)


def _a_boolean(value: object) -> None:
    if not isinstance(value, bool):
        raise ValidationError("expected true or false")


class _EntitlementSchema(_Lenient):
    is_entitled = fields.Raw(load_default=False, validate=_a_boolean)


class _RedHatSchema(_Lenient):
    identity = fields.Nested(_IdentitySchema, required=True)
    entitlements = fields.Dict(keys=fields.String(), values=fields.Nested(_EntitlementSchema), allow_none=True)

    @post_load
    def _build(self, data: dict[str, Any], **_: Any) -> RedHatClaims:
        identity = data["identity"]
        internal, user = identity.get("internal") or {}, identity.get("user") or {}
        entitlements = data.get("entitlements") or {}
        return RedHatClaims(
            org_id=(identity.get("org_id") or "").strip() or internal.get("org_id") or "",
            account_number=identity.get("account_number") or "",
            kind=identity.get("type") or "",
            email=user.get("email") or "",
            entitlements={bundle: entry["is_entitled"] for bundle, entry in entitlements.items()},
        )


class _FedoraSchema(_Lenient):
    user = fields.String(required=True)


_RED_HAT: Final = _RedHatSchema()
_FEDORA: Final = _FedoraSchema()


def identity_header(*, fedora_accounts: bool) -> str:
    """The header that says who calls."""
    return "x-fedora-identity" if fedora_accounts else "x-rh-identity"


def authenticator(*, fedora_accounts: bool) -> Authenticate:
    """What turns a request's headers into an Identity; it raises UnauthenticatedError or ForbiddenError."""
    name = identity_header(fedora_accounts=fedora_accounts)
    key = name.encode()
    read = _fedora_identity if fedora_accounts else _red_hat_identity
    remember = lru_cache(_REMEMBERED)(read)

    def authenticate(headers: Iterable[tuple[bytes, bytes]]) -> Identity:
        values = [value for sent, value in headers if sent == key]
        if len(values) != 1 or not values[0]:
            raise UnauthenticatedError(f"Exactly one {name} header is needed")
        if len(values[0]) > _LONGEST:
            raise UnauthenticatedError(_NOT_AN_IDENTITY)
        return (read if len(values[0]) > _LONGEST_REMEMBERED else remember)(values[0])

    return authenticate


def _red_hat_identity(header: bytes) -> Identity:
    claims: RedHatClaims = _loaded(_RED_HAT, header)
    return red_hat_identity(claims, header.decode("ascii"))


def _fedora_identity(header: bytes) -> Identity:
    return fedora_identity(_loaded(_FEDORA, header)["user"])


def _loaded(schema: Schema, header: bytes) -> Any:
    try:
        return schema.load(orjson.loads(base64.b64decode(header, validate=True)))
    except (binascii.Error, ValueError, ValidationError):
        raise UnauthenticatedError(_NOT_AN_IDENTITY) from None
