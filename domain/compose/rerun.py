"""The request of a build that repeats an earlier one (openapi.yaml, operation rerunCompose)."""

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
    """The ComposeRequest (openapi.yaml) that repeats a stored request, not yet validated.

    A stored request has no passwords. Users that had one get that of `passwords`, by user name, else that of the user
    in the body of the blueprint version that the build was started from (None for a build without a blueprint).

    Raises InvalidRequestError where a password is missing, where `passwords` names another user, and where the stored
    request is no JSON object.
    """
    if not isinstance(stored, Mapping):
        raise InvalidRequestError(
            "The stored request of this build cannot be read, so that the build cannot be repeated"
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
            f"The passwords of this build's users were not kept. Give them in `passwords`: {_names(missing)}"
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
