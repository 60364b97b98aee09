"""The secrets of a blueprint's users: hashed before they are kept, kept over changes, never answered."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, Final

from domain.blueprints.blueprint import Json
from domain.compose import passwords

_SECRETS: Final = ("password", "ssh_key")


def plain_passwords(body: Json) -> dict[int, str]:
    """The passwords of a body that have to be hashed, by the number of the user.

    Raises InvalidRequestError for passwords that are too long or too many.
    """
    return passwords.to_hash(body["customizations"].get("users") or ())


def with_hashes(body: Json, hashes: Mapping[int, str]) -> dict[str, Any]:
    """A body with the passwords of these users replaced by their hashes.

    `hasPassword` is dropped: it is the caller's word only.
    """
    users = body["customizations"].get("users")
    if users is None:
        return dict(body)
    return _with_users(body, [_with_hash(user, hashes.get(number)) for number, user in enumerate(users)])


def kept(body: Json, before: Json) -> dict[str, Any]:
    """A changed body with what its users do not say taken from the users of the same name `before`.

    Of several users of one name the first takes from the first, and so on, those too many from the last. An empty
    password or key says that there is none, and is left out.
    """
    users = body["customizations"].get("users")
    if users is None:
        return dict(body)
    stored: dict[str, deque[Json]] = {}
    for user in _users(before):
        stored.setdefault(user["name"], deque()).append(user)
    return _with_users(body, [_completed(user, _namesake(stored, user["name"])) for user in users])


def without_empty(body: Json) -> dict[str, Any]:
    """A new body: an empty password or key is none."""
    return kept(body, {})


def _users(body: Json) -> Iterable[Json]:
    users = body.get("customizations", {}).get("users")
    return [user for user in users if isinstance(user.get("name"), str)] if users else ()


def _namesake(stored: dict[str, deque[Json]], name: str) -> Json:
    namesakes = stored.get(name)
    if namesakes is None:
        return {}
    return namesakes.popleft() if len(namesakes) > 1 else namesakes[0]


def _with_hash(user: Json, hashed: str | None) -> dict[str, Any]:
    made = {name: value for name, value in user.items() if name != "hasPassword"}
    return made if hashed is None else {**made, "password": hashed}


def _completed(user: Json, before: Json) -> dict[str, Any]:
    secrets = {name: user.get(name, before.get(name)) for name in _SECRETS}
    others = {name: value for name, value in user.items() if name not in _SECRETS}
    return {**others, **{name: value for name, value in secrets.items() if value}}


def _with_users(body: Json, users: list[dict[str, Any]]) -> dict[str, Any]:
    return {**body, "customizations": {**body["customizations"], "users": users}}
