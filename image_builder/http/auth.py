"""Reads the caller's identity from the header that the gateway sets (openapi.yaml, securitySchemes)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Final

import orjson
from marshmallow import EXCLUDE, Schema, ValidationError, fields, post_load

from domain.base64_data import decode_base64
from domain.errors import UnauthenticatedError
from domain.identity import Identity, RedHatClaims, fedora_identity, red_hat_identity
from image_builder.http.head_limits import MAX_IDENTITY_BYTES

Authenticate = Callable[[Iterable[tuple[bytes, bytes]]], Identity]

_INVALID_HEADER: Final = "The identity header is not base64 of an identity document"
# Identities in the cache. The console polls with the same header for each row of its list.
_CACHE_ENTRIES: Final = 1024
# Characters of a header; longer headers are not cached, so that the cache stays small.
_MAX_CACHED_LENGTH: Final = 2048


class _LenientSchema(Schema):
    class Meta:
        unknown = EXCLUDE


class _InternalSchema(_LenientSchema):
    org_id = fields.String(allow_none=True)


class _UserSchema(_LenientSchema):
    email = fields.String(allow_none=True)
    username = fields.Raw()


class _IdentitySchema(_LenientSchema):
    org_id = fields.String(allow_none=True)
    account_number = fields.String(allow_none=True)
    type = fields.String(allow_none=True)
    internal = fields.Nested(_InternalSchema, allow_none=True)
    user = fields.Nested(_UserSchema, allow_none=True)
    service_account = fields.Raw()


def _check_boolean(value: object) -> None:
    if not isinstance(value, bool):
        raise ValidationError("expected true or false")


class _EntitlementSchema(_LenientSchema):
    is_entitled = fields.Raw(load_default=False, validate=_check_boolean)


class _RedHatSchema(_LenientSchema):
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
            username=_text(user.get("username")) or _username_of(identity.get("service_account")),
            entitlements={bundle: entry["is_entitled"] for bundle, entry in entitlements.items()},
        )


def _text(value: object) -> str:
    """The value if it is text, else ""; no request is refused because of a name that is none."""
    return value if isinstance(value, str) else ""


def _username_of(account: object) -> str:
    return _text(account.get("username")) if isinstance(account, dict) else ""


class _FedoraSchema(_LenientSchema):
    user = fields.String(required=True)


_RED_HAT: Final = _RedHatSchema()
_FEDORA: Final = _FedoraSchema()


def identity_header(*, fedora_accounts: bool) -> str:
    """Return the name of the header that holds the caller's identity."""
    return "x-fedora-identity" if fedora_accounts else "x-rh-identity"


def create_authenticator(*, fedora_accounts: bool) -> Authenticate:
    """Create the function that reads the caller's Identity from a request's headers.

    The function raises UnauthenticatedError, or ForbiddenError if the identity may not use the service.
    """
    name = identity_header(fedora_accounts=fedora_accounts)
    key = name.encode()
    read = _read_fedora_identity if fedora_accounts else _read_red_hat_identity
    read_cached = lru_cache(_CACHE_ENTRIES)(read)

    def authenticate(headers: Iterable[tuple[bytes, bytes]]) -> Identity:
        values = [value for header, value in headers if header == key]
        if len(values) != 1 or not values[0]:
            raise UnauthenticatedError(f"Exactly one {name} header is needed")
        if len(values[0]) > MAX_IDENTITY_BYTES:
            raise UnauthenticatedError(_INVALID_HEADER)
        return (read if len(values[0]) > _MAX_CACHED_LENGTH else read_cached)(values[0])

    return authenticate


def _read_red_hat_identity(header: bytes) -> Identity:
    claims: RedHatClaims = _load(_RED_HAT, header)
    return red_hat_identity(claims, header.decode("ascii"))


def _read_fedora_identity(header: bytes) -> Identity:
    return fedora_identity(_load(_FEDORA, header)["user"])


def _load(schema: Schema, header: bytes) -> Any:
    try:
        return schema.load(orjson.loads(decode_base64(header)))
    except (ValueError, ValidationError):
        raise UnauthenticatedError(_INVALID_HEADER) from None
