"""A blueprint to be handed on: without secrets, and bound to nobody's organization (contract: exportBlueprint)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from domain.blueprints.blueprint import Blueprint, Json
from domain.compose.passwords import shown
from domain.compose.snapshots import same
from domain.content import COMMUNITY, ContentRepository

COMMUNITY_URLS: Final = tuple(
    f"https://dl.fedoraproject.org/pub/epel/{major}/Everything/x86_64/" for major in (10, 9, 8)
)
_SECRET: Final = ("subscription", "cacerts")
# What registers a machine holds keys.
_SECRET_FILES: Final = (
    "/etc/systemd/system/register-satellite.service",
    "/usr/local/sbin/register-satellite",
    "/usr/local/sbin/aap-first-boot-reg",
)


@dataclass(frozen=True, slots=True)
class Exported:
    """A blueprint's export but for what content sources adds; `repositories` are the ids to be exported there."""

    document: dict[str, Any]
    repositories: tuple[str, ...]


def community_urls(customizations: Json) -> tuple[str, ...]:
    """The addresses of community repositories among the custom ones, as they are known to everybody."""
    named = {_first_address(repository) for repository in customizations.get("custom_repositories", ())}
    return tuple(url for url in COMMUNITY_URLS if same(url) in named)


def export(blueprint: Blueprint, known: Iterable[ContentRepository], at: datetime) -> Exported:
    """The export of a blueprint at a time (UTC); `known` is what content sources knows at `community_urls`."""
    # The answer to a question for this origin need not repeat it.
    community = {same(repository.url): repository for repository in known if repository.origin in {"", COMMUNITY}}
    customizations = _customizations(blueprint.customizations, community)
    source = {name: blueprint.body[name] for name in ("distribution", "bootc") if name in blueprint.body}
    document = {
        "name": blueprint.name,
        "description": blueprint.description,
        **source,
        "customizations": customizations,
        "metadata": {
            "parent_id": str(blueprint.id),
            "exported_at": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "is_on_prem": False,
        },
        **_snapshot_date(blueprint),
    }
    repositories = (repository.get("id") for repository in customizations.get("custom_repositories", ()))
    return Exported(document, tuple(dict.fromkeys(each for each in repositories if each and isinstance(each, str))))


def _customizations(customizations: Json, community: Mapping[str, ContentRepository]) -> dict[str, Any]:
    public = {name: value for name, value in customizations.items() if name not in _SECRET}
    made: dict[str, Any] = shown({"customizations": public})["customizations"]
    if "aap_registration" in made:
        made["aap_registration"] = {**made["aap_registration"], "host_config_key": ""}
    if "files" in made:
        made["files"] = [file for file in made["files"] if file.get("path") not in _SECRET_FILES]
        if not made["files"]:
            del made["files"]
    if "custom_repositories" in made:
        made["custom_repositories"] = [_custom(repository, community) for repository in made["custom_repositories"]]
    if "payload_repositories" in made:
        made["payload_repositories"] = [_payload(repository, community) for repository in made["payload_repositories"]]
    return made


def _custom(repository: Json, community: Mapping[str, ContentRepository]) -> dict[str, Any]:
    known = community.get(_first_address(repository))
    return dict(repository) if known is None else {**repository, "id": known.uuid, "name": known.name}


def _payload(repository: Json, community: Mapping[str, ContentRepository]) -> dict[str, Any]:
    known = community.get(_address(repository.get("baseurl")))
    return dict(repository) if known is None else {**repository, "id": known.uuid}


def _first_address(repository: Json) -> str:
    addresses = repository.get("baseurl")
    return _address(addresses[0]) if isinstance(addresses, list) and addresses else ""


def _address(said: Any) -> str:
    """An address as it is compared; empty for what is none."""
    return same(said) if isinstance(said, str) else ""


def _snapshot_date(blueprint: Blueprint) -> dict[str, str]:
    date = blueprint.image_requests[0].get("snapshot_date") if blueprint.image_requests else None
    return {"snapshot_date": date} if date else {}
