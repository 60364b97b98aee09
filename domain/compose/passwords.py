"""Passwords of users (openapi.yaml, schema User): they are hashed for the composer, and neither stored nor shown."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from domain.compose.request import Json
from domain.errors import InvalidRequestError
from domain.nulls import without_nested_nulls

# The composer accepts passwords that are hashed in these crypt forms; it would hash any other text again.
_KNOWN_CRYPT: Final = ("$6$", "$5$", "$2b$")
_OTHER_CRYPT: Final = re.compile(r"\$(1|2|2a|2x|2y|3|7|y|gy|md5|sha1|scrypt|argon2i|argon2d|argon2id)[$,]")

_REDACTED: Final = "<REDACTED>"
# A hash takes milliseconds of CPU, more for a long password: without these limits one request could
# occupy a worker for minutes.
MAX_PLAIN_PASSWORDS: Final = 200
MAX_PASSWORD_BYTES: Final = 512

_BCRYPT: Final = "$2b$"
# The length of "$2b$12$" and of the salt's 22 characters; no separator follows the salt.
_BCRYPT_PREFIX_LENGTH: Final = 29


class SaltedPassword(NamedTuple):
    """A plain password and the salt that it will be hashed with."""

    text: str
    salt: str


def find_password_fault(user: Json) -> str | None:
    """Return the error text for a text that cannot be a password; otherwise None.

    It is in a crypt form that the composer does not know, or the text that exports of older programs have instead.
    """
    password = user.get("password")
    if password == _REDACTED:
        return f'user "{user.get("name")}": the password was removed from the export; give a new one, or leave it out'
    if not isinstance(password, str) or not _OTHER_CRYPT.match(password):
        return None
    return (
        f'user "{user.get("name")}": the password is hashed in a form that is not known here, '
        "expected plain text or one of $6$, $5$, $2b$"
    )


def find_plain_passwords(users: Iterable[Json]) -> dict[int, str]:
    """Return the passwords of these users that have to be hashed, by the index of the user.

    Raises InvalidRequestError for a crypt form that the composer does not know, for a plain password longer than
    MAX_PASSWORD_BYTES, and for more than MAX_PLAIN_PASSWORDS plain passwords.
    """
    plain: dict[int, str] = {}
    for index, user in enumerate(users):
        password = user.get("password", "")
        if not password or password.startswith(_KNOWN_CRYPT):
            continue
        fault = find_password_fault(user)
        if fault is not None:
            raise InvalidRequestError(fault)
        if len(password.encode()) > MAX_PASSWORD_BYTES:
            raise InvalidRequestError(f'user "{user["name"]}": the password is longer than {MAX_PASSWORD_BYTES} bytes')
        plain[index] = password
    if len(plain) > MAX_PLAIN_PASSWORDS:
        raise InvalidRequestError(f"customizations.users: at most {MAX_PLAIN_PASSWORDS} plain passwords in a request")
    return plain


def insert_hashes(composer_request: Json, hashes: Mapping[int, str]) -> dict[str, Any]:
    """Return the composer's request with passwords replaced by `hashes`, which are by the index of the user."""
    if not hashes:
        return dict(composer_request)
    if "blueprint" in composer_request:
        blueprint = composer_request["blueprint"]
        customizations = blueprint["customizations"]
        users = _replace_passwords(customizations["user"], hashes)
        return {**composer_request, "blueprint": {**blueprint, "customizations": {**customizations, "user": users}}}
    customizations = composer_request["customizations"]
    users = _replace_passwords(customizations["users"], hashes)
    return {**composer_request, "customizations": {**customizations, "users": users}}


def insert_salts(users: list[Json], passwords: Mapping[int, SaltedPassword]) -> list[Json]:
    """Return the composer's users with each plain password replaced by the beginning of its hash: crypt form and salt.

    `passwords` are by the index of the user.
    """
    return _replace_passwords(users, {index: f"$6${password.salt}$" for index, password in passwords.items()})


def _replace_passwords(users: list[Json], passwords: Mapping[int, str]) -> list[Json]:
    return [{**user, "password": passwords[index]} if index in passwords else user for index, user in enumerate(users)]


def strip_digests(users: Any) -> Any:
    """Return the composer's users with each hash cut down to crypt form and salt.

    A value that is not a list is returned unchanged. Form and salt are known before the passwords are hashed. Salts are
    random, so they differ between two requests for the same image.
    """
    if not isinstance(users, list):
        return users
    return [
        {**user, "password": _cut_digest(user["password"])}
        if isinstance(user, Mapping) and isinstance(user.get("password"), str)
        else user
        for user in users
    ]


def strip_blueprint_digests(blueprint: Any) -> Any:
    """The composer's blueprint with its users' hashes cut as in `strip_digests`; other shapes stay as they are."""
    customizations = blueprint.get("customizations") if isinstance(blueprint, Mapping) else None
    if not isinstance(customizations, Mapping) or "user" not in customizations:
        return blueprint
    return {**blueprint, "customizations": {**customizations, "user": strip_digests(customizations["user"])}}


def _cut_digest(hashed: str) -> str:
    return hashed[:_BCRYPT_PREFIX_LENGTH] if hashed.startswith(_BCRYPT) else hashed.rpartition("$")[0]


def redact_customizations(customizations: Any) -> Any:
    """Return the customizations of a request as the database stores them (see `redact_request`)."""
    return redact_request({"customizations": customizations})["customizations"]


def redact_request(document: Json) -> dict[str, Any]:
    """Return a request as the database stores it: each user has `hasPassword` instead of a password.

    A `hasPassword` that the caller sent is ignored.
    """
    return _mark_users(document, lambda user: bool(user.get("password")))


def present_request(document: Json) -> dict[str, Any]:
    """Return a stored request as responses show it. Older programs stored requests with passwords and nulls."""
    return _mark_users(
        without_nested_nulls(document),
        lambda user: bool(user["password"]) if "password" in user else user.get("hasPassword") is True,
    )


def is_redacted(document: Json) -> bool:
    """Return whether each user of a stored request has `hasPassword` and no password, as after `redact_request`."""
    customizations = document.get("customizations")
    users = customizations.get("users", ()) if isinstance(customizations, dict) else ()
    return isinstance(users, list | tuple) and all(
        isinstance(user, dict) and isinstance(user.get("hasPassword"), bool) and "password" not in user
        for user in users
    )


def _mark_users(document: Json, has_password: Callable[[Json], bool]) -> dict[str, Any]:
    customizations = document.get("customizations")
    if not isinstance(customizations, dict):
        return dict(document)
    users = customizations.get("users")
    if users is None:
        return dict(document)
    if not isinstance(users, list):  # an unknown shape, which may contain passwords anywhere
        return {**document, "customizations": {key: value for key, value in customizations.items() if key != "users"}}
    marked = [
        {
            **{key: value for key, value in user.items() if key != "password"},
            "hasPassword": has_password(user),
        }
        for user in users
        if isinstance(user, dict)
    ]
    return {**document, "customizations": {**customizations, "users": marked}}
