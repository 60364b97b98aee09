"""What a caller adds to an image, in the composer's words (contract: Customizations)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any, Final

from domain.compose.request import Json
from domain.errors import InvalidRequestError

_THE_SAME: Final = (
    "packages",
    "enabled_modules",
    "groups",
    "containers",
    "locale",
    "kernel",
    "services",
    "firewall",
    "timezone",
    "installation_device",
    "fdo",
    "ignition",
    "fips",
    "installer",
    "hostname",
    "cacerts",
    "disk",
    "partitioning_mode",
)


def composer_customizations(ours: Json | None) -> dict[str, Any] | None:
    """The composer's `customizations`, None where the request has none; an empty list is left out.

    Raises InvalidRequestError for a file that cannot be decoded.
    """
    if ours is None:
        return None
    theirs = {name: writer(ours[name]) for name, writer in _WRITERS.items() if name in ours}
    return {name: value for name, value in theirs.items() if value != []}


def _same(value: Any) -> Any:
    return value


def _filesystem(entries: list[Json]) -> list[dict[str, Any]]:
    return [{"mountpoint": entry["mountpoint"], "min_size": entry["min_size"]} for entry in entries]


def _users(users: list[Json]) -> list[dict[str, Any]]:
    return [_user(user) for user in users]


def _user(user: Json) -> dict[str, Any]:
    theirs: dict[str, Any] = {"name": user["name"]}
    if user.get("groups"):
        theirs["groups"] = user["groups"]
    if user.get("ssh_key"):
        theirs["key"] = user["ssh_key"]
    if user.get("password"):
        theirs["password"] = user["password"]
    return theirs


def _files(files: list[Json]) -> list[dict[str, Any]]:
    return [_file(file) for file in files]


def _file(file: Json) -> dict[str, Any]:
    theirs = {key: value for key, value in file.items() if key != "data_encoding"}
    if file.get("data_encoding") == "base64" and "data" in file:
        theirs["data"] = _decoded(file)
    return theirs


def _decoded(file: Json) -> str:
    try:
        return base64.b64decode(file["data"].replace("\r", "").replace("\n", ""), validate=True).decode()
    except (binascii.Error, ValueError):
        raise InvalidRequestError(f'file "{file["path"]}": data is not base64 of UTF-8 text') from None


def _openscap(openscap: Json) -> dict[str, Any]:
    return {"profile_id": openscap["profile_id"]}


_WRITERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    **dict.fromkeys(_THE_SAME, _same),
    "filesystem": _filesystem,
    "users": _users,
    "files": _files,
    "directories": _same,
    "openscap": _openscap,
}
