"""Passwords on their way through: hashed for the composer, never kept (contract: User)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from domain.compose.request import Json
from domain.errors import InvalidRequestError
from domain.nulls import without_nested_nulls

# The composer takes these crypt forms as they are; it would hash the others a second time.
_KNOWN_CRYPT: Final = ("$6$", "$5$", "$2b$")
_OTHER_CRYPT: Final = re.compile(r"\$(1|2|2a|2x|2y|3|7|y|gy|md5|sha1|scrypt|argon2i|argon2d|argon2id)[$,]")

# A hash takes milliseconds of CPU, more for a long password: a request may not keep a worker busy for minutes.
MOST_TO_HASH: Final = 200
LONGEST: Final = 512

_BCRYPT: Final = "$2b$"
# Of "$2b$12$", and the 22 characters of salt, which no sign separates from the hash.
_BEFORE_BCRYPT_DIGEST: Final = 29


class Salted(NamedTuple):
    """A plain password and the salt that it is to be hashed with."""

    text: str
    salt: str


def complaint(user: Json) -> str | None:
    """Why a user's password cannot be taken, naming the user: it has a crypt form that the composer does not know."""
    if not _OTHER_CRYPT.match(user.get("password", "")):
        return None
    return (
        f'user "{user["name"]}": the password is hashed in a form that is not known here, '
        "expected plain text or one of $6$, $5$, $2b$"
    )


def to_hash(users: Iterable[Json]) -> dict[int, str]:
    """The plain passwords of these users (contract: User), by the number of the user.

    Raises InvalidRequestError for a crypt form the composer does not know, for a password longer than LONGEST bytes,
    and for more than MOST_TO_HASH.
    """
    plain: dict[int, str] = {}
    for number, user in enumerate(users):
        password = user.get("password", "")
        if not password or password.startswith(_KNOWN_CRYPT):
            continue
        wrong = complaint(user)
        if wrong is not None:
            raise InvalidRequestError(wrong)
        if len(password.encode()) > LONGEST:
            raise InvalidRequestError(f'user "{user["name"]}": the password is longer than {LONGEST} bytes')
        plain[number] = password
    if len(plain) > MOST_TO_HASH:
        raise InvalidRequestError(f"customizations.users: at most {MOST_TO_HASH} plain passwords in a request")
    return plain


def with_hashes(composer_request: Json, hashes: Mapping[int, str]) -> dict[str, Any]:
    """The composer's request with the passwords of these users replaced by their hashes."""
    if not hashes:
        return dict(composer_request)
    customizations = composer_request["customizations"]
    users = _with_hashes(customizations["users"], hashes)
    return {**composer_request, "customizations": {**customizations, "users": users}}


def _with_hashes(users: list[Json], hashes: Mapping[int, str]) -> list[Json]:
    return [{**user, "password": hashes[number]} if number in hashes else user for number, user in enumerate(users)]


def with_salts(users: list[Json], passwords: Mapping[int, Salted]) -> list[Json]:
    """The composer's users, in the place of each of these plain passwords the beginning of its hash: form and salt."""
    return _with_hashes(users, {number: f"$6${password.salt}$" for number, password in passwords.items()})


def users_without_digests(users: Any) -> Any:
    """The composer's users with each hash of a password cut down to its beginning: form and salt.

    That is known before the passwords are hashed, and differs from what another caller has who orders the same with
    other passwords: salts are random. What is no list of users stays as it is.
    """
    if not isinstance(users, list):
        return users
    return [
        {**user, "password": _form_and_salt(user["password"])}
        if isinstance(user, Mapping) and isinstance(user.get("password"), str)
        else user
        for user in users
    ]


def _form_and_salt(hashed: str) -> str:
    return hashed[:_BEFORE_BCRYPT_DIGEST] if hashed.startswith(_BCRYPT) else hashed.rpartition("$")[0]


def customizations_without_passwords(customizations: Any) -> Any:
    """The customizations of a request as a row keeps them (see `without_passwords`)."""
    return without_passwords({"customizations": customizations})["customizations"]


def without_passwords(document: Json) -> dict[str, Any]:
    """A request as a row keeps it: every user has `hasPassword`, none a password; the caller's own is ignored."""
    return _with_users(document, lambda user: bool(user.get("password")))


def shown(document: Json) -> dict[str, Any]:
    """A request as it is answered, also one that an older program stored with passwords or empty values."""
    return _with_users(
        without_nested_nulls(document),
        lambda user: bool(user["password"]) if "password" in user else user.get("hasPassword") is True,
    )


def is_shown(document: Json) -> bool:
    """Whether each user of a request says `hasPassword` already, as in every row that `without_passwords` made."""
    customizations = document.get("customizations")
    users = customizations.get("users", ()) if isinstance(customizations, dict) else ()
    return isinstance(users, list | tuple) and all(
        isinstance(user, dict) and isinstance(user.get("hasPassword"), bool) and "password" not in user
        for user in users
    )


def _with_users(document: Json, has_password: Callable[[Json], bool]) -> dict[str, Any]:
    customizations = document.get("customizations")
    if not isinstance(customizations, dict):
        return dict(document)
    users = customizations.get("users")
    if users is None:
        return dict(document)
    if not isinstance(users, list):  # nothing we know how to take a password out of
        return {**document, "customizations": {key: value for key, value in customizations.items() if key != "users"}}
    kept = [
        {
            **{key: value for key, value in user.items() if key != "password"},
            "hasPassword": has_password(user),
        }
        for user in users
        if isinstance(user, dict)
    ]
    return {**document, "customizations": {**customizations, "users": kept}}
