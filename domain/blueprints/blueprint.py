"""A blueprint as it is kept: a name, a description, and one body for each version of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from domain.nulls import without_nested_nulls
from domain.paging import Page

Json = Mapping[str, Any]

# A policy that older programs wrote where a blueprint has a profile only.
_NO_POLICY: Final = str(UUID(int=0))
# What the body of a version holds, and in which shape; older programs left more there.
_BODY: Final[Mapping[str, type]] = {"distribution": str, "bootc": dict, "image_requests": list, "customizations": dict}
# Of the customizations, those that are worked on: lists of objects, and objects.
_LISTS: Final = ("users", "files", "custom_repositories", "payload_repositories")
_TABLES: Final = ("aap_registration",)


@dataclass(frozen=True, slots=True)
class NewBlueprint:
    """A blueprint to be kept, at version 1.

    `body` as `body_of` makes it, `metadata` where it came from (contract: BlueprintMetadata) or None, `snapshots` what
    other services said of it when it was saved (`service_snapshots`) or None.
    """

    tenant: str
    account_number: str
    name: str
    description: str
    body: Json
    metadata: Json | None = None
    snapshots: Json | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """A version to be kept of a blueprint that is kept already."""

    name: str
    description: str
    body: Json
    snapshots: Json | None = None


@dataclass(frozen=True, slots=True)
class Blueprint:
    """One version of a blueprint, under its present name and description; `version_id` is that version's own id."""

    id: UUID
    name: str
    description: str
    version: int
    version_id: UUID
    body: Json
    snapshots: Json = field(default_factory=dict)

    @property
    def distribution(self) -> str | None:
        """What it is a blueprint of, where it says so."""
        return self.body.get("distribution")

    @property
    def customizations(self) -> Json:
        """What it adds to an image (contract: Customizations)."""
        customizations: Json = self.body["customizations"]
        return customizations

    @property
    def image_requests(self) -> list[Json]:
        """The images that are built from it (contract: ImageRequest)."""
        requests: list[Json] = self.body["image_requests"]
        return requests

    @property
    def policy_id(self) -> str | None:
        """The compliance policy it follows."""
        return policy_of(self.body)


@dataclass(frozen=True, slots=True)
class BlueprintVersion:
    """Which version of which blueprint a build is of: `id` is the version's own id."""

    blueprint_id: UUID
    id: UUID


class ListedBlueprint(NamedTuple):
    """A row of a list; `id` is a UUID as text, `last_modified_at` UTC without a zone."""

    id: str
    version: int
    name: str
    description: str
    last_modified_at: datetime


@dataclass(frozen=True, slots=True)
class BlueprintsQuery:
    """A tenant's blueprints, those changed last first.

    `name` matches exactly, and then `page` and `search` mean nothing; `search` is a part of the name or the
    description in any case. None where not asked for.
    """

    tenant: str
    page: Page
    name: str | None = None
    search: str | None = None


@dataclass(frozen=True, slots=True)
class BlueprintsPage:
    """`count` counts all that match, not the page's."""

    count: int
    blueprints: tuple[ListedBlueprint, ...]


def body_of(document: Json) -> dict[str, Any]:
    """What a version keeps of a document that fits the contract's CreateBlueprintRequest."""
    return {name: document[name] for name in _BODY if name in document}


def as_read(stored: Json) -> dict[str, Any]:
    """A stored body as this service understands it, whichever program stored it.

    Nulls, keys that are no body's, a policy that is none, what was said of passwords, and what is of no shape that
    could be worked on, are left out.
    """
    entries: dict[str, Any] = without_nested_nulls(stored, in_lists=True)
    body = {name: entries[name] for name, shape in _BODY.items() if isinstance(entries.get(name), shape)}
    body["customizations"] = _with_policy(_unsaid(_in_shape(body.get("customizations", {}))))
    body["image_requests"] = _objects(body.get("image_requests", []))
    return body


def policy_of(body: Json) -> str | None:
    """The compliance policy that a body names."""
    openscap = body.get("customizations", {}).get("openscap")
    policy = openscap.get("policy_id") if isinstance(openscap, Mapping) else None
    return policy if isinstance(policy, str) and policy and policy != _NO_POLICY else None


def _objects(entries: list[Any]) -> list[dict[str, Any]]:
    return [entry for entry in entries if isinstance(entry, dict)]


def _in_shape(customizations: dict[str, Any]) -> dict[str, Any]:
    made = {}
    for name, value in customizations.items():
        if name in _LISTS:
            if isinstance(value, list):
                made[name] = _objects(value)
        elif name not in _TABLES or isinstance(value, dict):
            made[name] = value
    return made


def _unsaid(customizations: dict[str, Any]) -> dict[str, Any]:
    # Fixups lost passwords and kept the word that there are some.
    if "users" not in customizations:
        return customizations
    unsaid = [
        {name: value for name, value in user.items() if name != "hasPassword"} for user in customizations["users"]
    ]
    return {**customizations, "users": unsaid}


def _with_policy(customizations: dict[str, Any]) -> dict[str, Any]:
    openscap = customizations.get("openscap")
    if not isinstance(openscap, dict) or openscap.get("policy_id") != _NO_POLICY:
        return customizations
    profile = {name: value for name, value in openscap.items() if name != "policy_id"}
    others = {name: value for name, value in customizations.items() if name != "openscap"}
    return {**others, "openscap": profile} if profile else others
