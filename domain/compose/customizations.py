"""What a caller adds to an image, in the composer's words (contract: Customizations)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from domain.base64_data import decode_base64_text
from domain.compose import aap, policy, subscription
from domain.compose.lookups import Answers, policy_question
from domain.compose.own_repositories import custom_repositories, payload_repositories
from domain.compose.request import ComposeRequest, Json
from domain.compose.snapshots import ContentSettings
from domain.distributions import Distribution
from domain.errors import InvalidRequestError

_THE_SAME: Final = (
    "packages",
    "enabled_modules",
    "groups",
    "containers",
    "locale",
    "kernel",
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


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What customizations depend on besides themselves; `distribution` is None for a bootable container."""

    distribution: Distribution | None
    answers: Answers
    settings: ContentSettings


def as_given(ours: Json | None) -> dict[str, Any] | None:
    """Those of the composer's `customizations` that depend on nothing but ours; None where there are none at all.

    Raises InvalidRequestError for a file that cannot be decoded.
    """
    return None if ours is None else {name: writer(ours[name]) for name, writer in _WRITERS.items() if name in ours}


def composer_customizations(request: ComposeRequest, given: Json | None, around: Surroundings) -> dict[str, Any] | None:
    """The composer's `customizations`, None where there are none to send; an empty list is left out.

    `given` is what `as_given` made of the request's. Raises InvalidRequestError for what the sections refuse.
    """
    ours = request.customizations
    if ours is None or given is None:
        # The packages of a template's repositories are wanted also where nothing else is.
        payload = payload_repositories(request, (), around.answers, around.settings)
        return {"payload_repositories": payload} if payload else None
    theirs = dict(given)
    for section in (_subscription, _repositories, _policy, _connector, _aap):
        section(request, ours, around, theirs)
    return {name: value for name, value in theirs.items() if value != []}


def _subscription(request: ComposeRequest, ours: Json, around: Surroundings, theirs: dict[str, Any]) -> None:
    if "subscription" in ours:
        theirs["subscription"] = subscription.subscription(
            request, ours["subscription"], around.distribution, around.answers, around.settings
        )


def _repositories(request: ComposeRequest, ours: Json, around: Surroundings, theirs: dict[str, Any]) -> None:
    for name, writer in (
        ("payload_repositories", payload_repositories),
        ("custom_repositories", custom_repositories),
    ):
        theirs[name] = writer(request, ours.get(name, ()), around.answers, around.settings)


def _policy(request: ComposeRequest, _ours: Json, around: Surroundings, theirs: dict[str, Any]) -> None:
    question = policy_question(request, around.distribution)
    if question is None:
        return
    policy.check(question, around.answers)
    theirs["openscap"] = policy.openscap(question, around.answers)
    theirs["directories"] = [*policy.directories(around.answers), *theirs.get("directories", ())]
    theirs["files"] = [*policy.files(around.answers), *theirs.get("files", ())]


def _connector(request: ComposeRequest, _ours: Json, around: Surroundings, theirs: dict[str, Any]) -> None:
    if subscription.needs_connector(request, around.distribution):
        _enable(theirs, "rhcd")


def _aap(_request: ComposeRequest, ours: Json, _around: Surroundings, theirs: dict[str, Any]) -> None:
    registration = ours.get("aap_registration")
    if registration is None:
        return
    theirs["files"] = [*theirs.get("files", ()), *aap.files(registration)]
    authorities = aap.certificates(registration)
    if authorities:
        theirs["cacerts"] = {"pem_certs": [*theirs.get("cacerts", {}).get("pem_certs", ()), *authorities]}
    _enable(theirs, aap.SERVICE)


def _enable(theirs: dict[str, Any], service: str) -> None:
    services = theirs.get("services", {})
    enabled = services.get("enabled", [])
    if service not in enabled:
        theirs["services"] = {**services, "enabled": [*enabled, service]}


def _same(value: Any) -> Any:
    return value


def _services(services: Json) -> dict[str, Any]:
    """Without empty lists, which the composer refuses."""
    return {state: names for state, names in services.items() if names}


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
        return decode_base64_text(file["data"])
    except ValueError:
        raise InvalidRequestError(f'file "{file["path"]}": data is not base64 of UTF-8 text') from None


def _openscap(openscap: Json) -> dict[str, Any]:
    return {"profile_id": openscap["profile_id"]} if "profile_id" in openscap else {}


_WRITERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    **dict.fromkeys(_THE_SAME, _same),
    "services": _services,
    "filesystem": _filesystem,
    "users": _users,
    "files": _files,
    "directories": _same,
    "openscap": _openscap,
}
