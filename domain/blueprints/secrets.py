"""Secrets of a blueprint's users: hashed before they are stored, carried over to later versions, never shown."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, Final

from domain.blueprints.blueprint import Json
from domain.compose import passwords
from domain.compose.passwords import SaltedPassword

_SECRETS: Final = ("password", "ssh_key")
# A hash as this service makes them: its form, the salt, and the digest.
_SALTED: Final = re.compile(r"\$6\$([^$=]+)\$[^$]+")


def find_plain_passwords(body: Json) -> dict[int, str]:
    """The passwords of a body that have to be hashed, by the index of the user.

    Raises InvalidRequestError for a password in an unknown crypt form or too long, and for too many passwords.
    """
    return passwords.find_plain_passwords(body["customizations"].get("users") or ())


def find_stored_hashes(body: Json, plain: Mapping[int, str], before: Json) -> dict[int, SaltedPassword]:
    """The plain passwords of a body with the salts that the same users' passwords have in the version `before`.

    Hashed with them, a password that has not changed gives the stored hash. Users are matched as in
    `carry_over_secrets`; the dictionaries are by the index of the user.
    """
    stored = _index_by_name(before)
    salted = {}
    for index, user in enumerate(body["customizations"].get("users") or ()):
        hashed = _take_namesake(stored, user["name"]).get("password")
        form = _SALTED.fullmatch(hashed) if isinstance(hashed, str) else None
        if index in plain and form is not None:
            salted[index] = SaltedPassword(plain[index], form[1])
    return salted


def list_hashes(body: Json) -> frozenset[str]:
    """The passwords of a stored version's users."""
    hashes = (user.get("password") for user in _list_named_users(body))
    return frozenset(each for each in hashes if isinstance(each, str))


def insert_hashes(body: Json, hashes: Mapping[int, str]) -> dict[str, Any]:
    """A body with passwords replaced by their hashes; `hashes` are by the index of the user.

    `hasPassword` is left out: the caller may have sent anything.
    """
    users = body["customizations"].get("users")
    if users is None:
        return dict(body)
    return _replace_users(body, [_insert_hash(user, hashes.get(index)) for index, user in enumerate(users)])


def carry_over_secrets(body: Json, before: Json) -> dict[str, Any]:
    """A changed body whose users have the passwords and keys of the version `before` where they give none.

    Users are matched by name. Of several users of one name, the first gets the secrets of the first, and so on; further
    ones get those of the last. An empty password or key removes the secret.
    """
    users = body["customizations"].get("users")
    if users is None:
        return dict(body)
    stored = _index_by_name(before)
    return _replace_users(body, [_add_secrets(user, _take_namesake(stored, user["name"])) for user in users])


def drop_empty_secrets(body: Json) -> dict[str, Any]:
    """A new body without empty passwords and keys."""
    return carry_over_secrets(body, {})


def _index_by_name(before: Json) -> dict[str, deque[Json]]:
    stored: dict[str, deque[Json]] = {}
    for user in _list_named_users(before):
        stored.setdefault(user["name"], deque()).append(user)
    return stored


def _list_named_users(body: Json) -> Iterable[Json]:
    users = body.get("customizations", {}).get("users")
    return [user for user in users if isinstance(user.get("name"), str)] if users else ()


def _take_namesake(stored: dict[str, deque[Json]], name: str) -> Json:
    namesakes = stored.get(name)
    if namesakes is None:
        return {}
    return namesakes.popleft() if len(namesakes) > 1 else namesakes[0]


def _insert_hash(user: Json, hashed: str | None) -> dict[str, Any]:
    others = {name: value for name, value in user.items() if name != "hasPassword"}
    return others if hashed is None else {**others, "password": hashed}


def _add_secrets(user: Json, before: Json) -> dict[str, Any]:
    secrets = {name: user.get(name, before.get(name)) for name in _SECRETS}
    others = {name: value for name, value in user.items() if name not in _SECRETS}
    return {**others, **{name: value for name, value in secrets.items() if value}}


def _replace_users(body: Json, users: list[dict[str, Any]]) -> dict[str, Any]:
    return {**body, "customizations": {**body["customizations"], "users": users}}
