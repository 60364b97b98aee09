"""Export a blueprint without secrets, for use in any organization (openapi.yaml, operation exportBlueprint)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from domain.blueprints.blueprint import Blueprint, Json
from domain.compose.passwords import present_request
from domain.compose.snapshots import normalize_url
from domain.content import COMMUNITY, ContentRepository

COMMUNITY_URLS: Final = tuple(
    f"https://dl.fedoraproject.org/pub/epel/{major}/Everything/x86_64/" for major in (10, 9, 8)
)
_SECRET: Final = ("subscription", "cacerts")
# These files register a machine, and hold keys.
_SECRET_FILES: Final = (
    "/etc/systemd/system/register-satellite.service",
    "/usr/local/sbin/register-satellite",
    "/usr/local/sbin/aap-first-boot-reg",
)


@dataclass(frozen=True, slots=True)
class Exported:
    """The export without the part that content sources adds; `repositories` are the ids that it has to describe.

    `architecture` is that of all images; None where they have different ones.
    """

    document: dict[str, Any]
    repositories: tuple[str, ...]
    architecture: str | None


def find_community_urls(customizations: Json) -> tuple[str, ...]:
    """Those of COMMUNITY_URLS that custom repositories of the blueprint have."""
    named = {_get_first_url(repository) for repository in customizations.get("custom_repositories", ())}
    return tuple(url for url in COMMUNITY_URLS if normalize_url(url) in named)


def export_blueprint(blueprint: Blueprint, known: Iterable[ContentRepository], at: datetime) -> Exported:
    """Export a blueprint.

    `known` are the repositories that content sources knows at `find_community_urls`; `at` is the present time in UTC.
    Labels are left out: they name things of the organization, such as teams and cost centers.
    """
    # Content sources was asked for repositories of this origin, and may leave the origin out of its answer.
    community = {
        normalize_url(repository.url): repository for repository in known if repository.origin in {"", COMMUNITY}
    }
    customizations = _export_customizations(blueprint.customizations, community)
    source = {name: blueprint.body[name] for name in ("distribution", "bootc") if name in blueprint.body}
    document = {
        "name": blueprint.name,
        "description": blueprint.description,
        **source,
        **({} if blueprint.file_version is None else {"file_version": blueprint.file_version}),
        "customizations": customizations,
        "metadata": {
            "parent_id": str(blueprint.id),
            "exported_at": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "is_on_prem": False,
            "redacted": _find_redacted(blueprint),
        },
        **_export_snapshot_date(blueprint),
    }
    repositories = (repository.get("id") for repository in customizations.get("custom_repositories", ()))
    ids = tuple(dict.fromkeys(each for each in repositories if each and isinstance(each, str)))
    return Exported(document, ids, _find_architecture(blueprint))


def _find_redacted(blueprint: Blueprint) -> list[str]:
    """The paths of everything that an export leaves out."""
    customizations = blueprint.customizations
    users, files = customizations.get("users", ()), customizations.get("files", ())
    registration = customizations.get("aap_registration", {})
    return [
        *(("image_requests",) if blueprint.image_requests else ()),
        *(f"customizations.{name}" for name in _SECRET if name in customizations),
        *(f"customizations.users[{index}].password" for index, user in enumerate(users) if user.get("password")),
        *(("customizations.aap_registration.host_config_key",) if registration.get("host_config_key") else ()),
        *(f"customizations.files[{index}]" for index, file in enumerate(files) if file.get("path") in _SECRET_FILES),
    ]


def _find_architecture(blueprint: Blueprint) -> str | None:
    found = [image.get("architecture") for image in blueprint.image_requests]
    first = found[0] if found else None
    return first if isinstance(first, str) and all(each == first for each in found) else None


def _export_customizations(customizations: Json, community: Mapping[str, ContentRepository]) -> dict[str, Any]:
    public = {name: value for name, value in customizations.items() if name not in _SECRET}
    exported: dict[str, Any] = present_request({"customizations": public})["customizations"]
    if "aap_registration" in exported:
        exported["aap_registration"] = {**exported["aap_registration"], "host_config_key": ""}
    if "files" in exported:
        exported["files"] = [file for file in exported["files"] if file.get("path") not in _SECRET_FILES]
        if not exported["files"]:
            del exported["files"]
    if "custom_repositories" in exported:
        exported["custom_repositories"] = [
            _describe_custom(repository, community) for repository in exported["custom_repositories"]
        ]
    if "payload_repositories" in exported:
        exported["payload_repositories"] = [
            _describe_payload(repository, community) for repository in exported["payload_repositories"]
        ]
    return exported


def _describe_custom(repository: Json, community: Mapping[str, ContentRepository]) -> dict[str, Any]:
    known = community.get(_get_first_url(repository))
    return dict(repository) if known is None else {**repository, "id": known.uuid, "name": known.name}


def _describe_payload(repository: Json, community: Mapping[str, ContentRepository]) -> dict[str, Any]:
    known = community.get(_normalize(repository.get("baseurl")))
    return dict(repository) if known is None else {**repository, "id": known.uuid}


def _get_first_url(repository: Json) -> str:
    addresses = repository.get("baseurl")
    return _normalize(addresses[0]) if isinstance(addresses, list) and addresses else ""


def _normalize(url: Any) -> str:
    """The address in the form in which addresses are compared; empty for a value that is no text."""
    return normalize_url(url) if isinstance(url, str) else ""


def _export_snapshot_date(blueprint: Blueprint) -> dict[str, str]:
    date = blueprint.image_requests[0].get("snapshot_date") if blueprint.image_requests else None
    return {"snapshot_date": date} if date else {}
