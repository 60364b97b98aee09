"""Codecs for users, and for the list `sshkey` of osbuild blueprints, whose keys become keys of users."""

from __future__ import annotations

from typing import Any, Final

from domain.osbuild.codecs import NUMBER, TEXT, Field, ListOf, OneSided, Table, shared_field

USERS: Final = ListOf(
    Table(
        (
            shared_field("name", TEXT, required=True),
            shared_field("description", TEXT),
            shared_field("password", TEXT),
            Field("ssh_key", "key", TEXT),
            shared_field("home", TEXT),
            shared_field("shell", TEXT),
            shared_field("groups", ListOf(TEXT)),
            shared_field("uid", NUMBER),
            shared_field("gid", NUMBER),
            # Only in answers of the API, in place of the password.
            Field("hasPassword", "", OneSided((True, False))),
        )
    )
)
_SSH_KEYS: Final = ListOf(
    Table((Field("name", "user", TEXT, required=True), Field("ssh_key", "key", TEXT, required=True)))
)


def add_ssh_keys(users: list[dict[str, Any]], value: Any, at: str, unsupported: list[str]) -> list[dict[str, Any]]:
    """The users with the keys of a list `sshkey` at the path `at`, each key a line of the user's `ssh_key`.

    Users who are only in that list come first. A key that the user has already is not added again. Raises
    InvalidRequestError where the list is not one of keys.
    """
    lines: dict[str, dict[str, None]] = {}
    for entry in _SSH_KEYS.read(value, at, unsupported):
        lines.setdefault(entry["name"], {}).update(dict.fromkeys(_split_lines(entry["ssh_key"])))
    changed: list[dict[str, Any]] = []
    for user in users:
        added = lines.pop(user["name"], None)
        if added is None:
            changed.append(user)
        else:
            keys = dict.fromkeys((*_split_lines(user.get("ssh_key", "")), *added))
            changed.append({**user, "ssh_key": "\n".join(keys)})
    created = [{"name": name, "ssh_key": "\n".join(added)} for name, added in lines.items()]
    return [*created, *changed]


def _split_lines(key: str) -> list[str]:
    return [line for line in key.split("\n") if line.strip()]
