"""Create the request of a build from the stored request of an earlier build (openapi.yaml, operation rerunCompose)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from domain.blueprints.secrets import carry_over_secrets
from domain.compose.passwords import present_request
from domain.compose.request import Json
from domain.errors import InvalidRequestError
from domain.texts import MOST_LISTED

_PASSWORD: Final = "password"  # noqa: S105 - the name of a field


def create_rerun_request(stored: Any, passwords: Mapping[str, str], blueprint_body: Json | None) -> dict[str, Any]:
    """Return the ComposeRequest (openapi.yaml) of a stored request; the result is not validated.

    A stored request contains no passwords. A user that had a password gets the one in `passwords`, by user name, or
    else the one of that user in `blueprint_body`: the body of the blueprint version that the build was started from,
    None for a build without a blueprint.

    Raises InvalidRequestError if a password is missing, if `passwords` names a user that the request does not have, and
    if the stored request is not a JSON object.
    """
    if not isinstance(stored, Mapping):
        raise InvalidRequestError(
            "The stored request of this build cannot be read, so the build cannot be started again"
        )
    document = present_request(stored)
    customizations = document.get("customizations")
    users = customizations.get("users") if isinstance(customizations, Mapping) else None
    if not isinstance(users, list):
        _refuse_unknown(passwords, ())
        return document
    _refuse_unknown(passwords, [user.get("name") for user in users])
    had_password = [user.pop("hasPassword", False) for user in users]
    if blueprint_body is not None:
        document = carry_over_secrets(document, blueprint_body)
    completed = [_with_password(user, passwords) for user in document["customizations"]["users"]]
    missing = [
        user.get("name")
        for user, had in zip(completed, had_password, strict=True)
        if had is True and not user.get(_PASSWORD)
    ]
    if missing:
        raise InvalidRequestError(
            f"Passwords are not stored with builds. Give the passwords of these users in `passwords`: {_names(missing)}"
        )
    return {**document, "customizations": {**document["customizations"], "users": completed}}


def _with_password(user: Json, passwords: Mapping[str, str]) -> dict[str, Any]:
    given = passwords.get(str(user.get("name")))
    return dict(user) if given is None else {**user, _PASSWORD: given}


def _refuse_unknown(passwords: Mapping[str, str], users: Any) -> None:
    unknown = [name for name in passwords if name not in users]
    if unknown:
        raise InvalidRequestError(f"passwords: the request of this build has no such user: {_names(unknown)}")


def _names(names: list[Any]) -> str:
    listed = ", ".join(f'"{name}"' for name in names[:MOST_LISTED])
    return listed if len(names) <= MOST_LISTED else f"{listed} and {len(names) - MOST_LISTED} more"
