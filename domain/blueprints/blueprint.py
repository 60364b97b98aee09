"""A blueprint as the database stores it: a name, a description, and one body for each version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from domain.labels import Labels
from domain.nulls import without_nested_nulls
from domain.paging import Cursor, Page

Json = Mapping[str, Any]

# Older programs stored this policy id in blueprints that have a security profile and no policy.
_NO_POLICY: Final = str(UUID(int=0))
# The keys of a version's body and their types; older programs stored more keys.
_BODY: Final[Mapping[str, type]] = {"distribution": str, "bootc": dict, "image_requests": list, "customizations": dict}
# The customizations that this service reads: lists of objects, and objects.
_LISTS: Final = ("users", "files", "custom_repositories", "payload_repositories")
_TABLES: Final = ("aap_registration",)


@dataclass(frozen=True, slots=True)
class NewBlueprint:
    """A blueprint to be stored, at version 1.

    `body` is the result of `extract_body`. `metadata` says where an imported blueprint comes from (openapi.yaml, schema
    BlueprintMetadata). `snapshots` is what other services answered when it was saved (the column `service_snapshots`).
    `file_version` is the version that the blueprint's file gives itself. All are None where there is none. `created_by`
    is the name of the user, "" if it is unknown. `labels` belong to the blueprint, not to one of its versions.
    """

    tenant: str
    account_number: str
    name: str
    description: str
    body: Json
    metadata: Json | None = None
    snapshots: Json | None = None
    file_version: str | None = None
    created_by: str = ""
    labels: Labels = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Version:
    """A version to be added to a stored blueprint.

    `file_version` is the version that its file gives itself; `created_by` is as in NewBlueprint. `labels` replace those
    of the blueprint; None keeps them.
    """

    name: str
    description: str
    body: Json
    snapshots: Json | None = None
    file_version: str | None = None
    created_by: str = ""
    labels: Labels | None = None


@dataclass(frozen=True, slots=True)
class Blueprint:
    """One version of a blueprint; `version_id` is the version's id, `file_version` what its file calls its version.

    `name`, `description` and `labels` are the blueprint's present ones, whatever the version. `created_by` is the name
    of the user who created the blueprint, `modified_by` of the one who saved this version; None for unknown.
    """

    id: UUID
    name: str
    description: str
    version: int
    version_id: UUID
    body: Json
    snapshots: Json = field(default_factory=dict)
    file_version: str | None = None
    created_by: str | None = None
    modified_by: str | None = None
    labels: Labels = field(default_factory=dict)

    @property
    def distribution(self) -> str | None:
        """The distribution's name; None for a bootable container, or where a blueprint of an older program has none."""
        return self.body.get("distribution")

    @property
    def customizations(self) -> Json:
        """The customizations (openapi.yaml, schema Customizations)."""
        customizations: Json = self.body["customizations"]
        return customizations

    @property
    def image_requests(self) -> list[Json]:
        """The images that are built from the blueprint (openapi.yaml, schema ImageRequest)."""
        requests: list[Json] = self.body["image_requests"]
        return requests

    def has_content_of(self, version: Version) -> bool:
        """Whether a version has the same name, description, body and file version, and changes no labels."""
        own = (self.name, self.description, self.file_version, self.body)
        same_labels = version.labels is None or version.labels == self.labels
        other = (version.name, version.description, version.file_version, normalize_body(version.body))
        return same_labels and own == other

    @property
    def policy_id(self) -> str | None:
        """The id of the compliance policy that the blueprint follows, if any."""
        return find_policy_id(self.body)


@dataclass(frozen=True, slots=True)
class BlueprintVersion:
    """The version of a blueprint that a build is of; `id` is the version's id."""

    blueprint_id: UUID
    id: UUID


class ListedBlueprint(NamedTuple):
    """A blueprint in a list; `id` is a UUID as text, `last_modified_at` a time in UTC without a time zone.

    `created_by` is the name of the user who created the blueprint, None for unknown. `labels` are a JSON object, None
    for none.
    """

    id: str
    version: int
    name: str
    description: str
    last_modified_at: datetime
    created_by: str | None = None
    labels: str | None = None


DEFAULT_SORT: Final = "-last_modified_at"
# The orders of a list; blueprints that are equal in it are ordered by their ids, in the same direction.
SORTS: Final = (DEFAULT_SORT, "last_modified_at", "name", "-name")


@dataclass(frozen=True, slots=True)
class BlueprintsQuery:
    """A search for a tenant's blueprints, in the order of `sort` (of SORTS).

    `name` is the exact name; with it, the other fields are ignored. `search` is a part of the name or the description,
    upper and lower case are equal. Each is None where the caller gave none. With a `cursor` the page begins there, and
    `page.offset` is not used.
    """

    tenant: str
    page: Page
    name: str | None = None
    search: str | None = None
    sort: str = DEFAULT_SORT
    cursor: Cursor | None = None


@dataclass(frozen=True, slots=True)
class BlueprintsPage:
    """A page of a list of blueprints; `count` is the number of all blueprints that match, on all pages.

    `previous` and `next` are the cursors of the pages before and behind it; None where there is no such page, and for a
    page without blueprints.
    """

    count: int
    blueprints: tuple[ListedBlueprint, ...]
    previous: Cursor | None = None
    next: Cursor | None = None


def extract_body(document: Json) -> dict[str, Any]:
    """The part of a valid CreateBlueprintRequest (openapi.yaml) that a version stores."""
    return {name: document[name] for name in _BODY if name in document}


def normalize_body(stored: Json) -> dict[str, Any]:
    """A stored body in the form that this service uses, whichever program stored it.

    It leaves out nulls, unknown keys, the policy id that means no policy, `hasPassword` of users, and values of another
    type than this service can use.
    """
    entries: dict[str, Any] = without_nested_nulls(stored, in_lists=True)
    body = {name: entries[name] for name, shape in _BODY.items() if isinstance(entries.get(name), shape)}
    body["customizations"] = _drop_no_policy(_drop_has_password(_drop_wrong_types(body.get("customizations", {}))))
    body["image_requests"] = _keep_objects(body.get("image_requests", []))
    return body


def find_policy_id(body: Json) -> str | None:
    """The id of the compliance policy that a body names, if any."""
    openscap = body.get("customizations", {}).get("openscap")
    policy = openscap.get("policy_id") if isinstance(openscap, Mapping) else None
    return policy if isinstance(policy, str) and policy and policy != _NO_POLICY else None


def _keep_objects(entries: list[Any]) -> list[dict[str, Any]]:
    return [entry for entry in entries if isinstance(entry, dict)]


def _drop_wrong_types(customizations: dict[str, Any]) -> dict[str, Any]:
    kept = {}
    for name, value in customizations.items():
        if name in _LISTS:
            if isinstance(value, list):
                kept[name] = _keep_objects(value)
        elif name not in _TABLES or isinstance(value, dict):
            kept[name] = value
    return kept


def _drop_has_password(customizations: dict[str, Any]) -> dict[str, Any]:
    # The fixup of older programs removed passwords and kept `hasPassword`.
    if "users" not in customizations:
        return customizations
    users = [{name: value for name, value in user.items() if name != "hasPassword"} for user in customizations["users"]]
    return {**customizations, "users": users}


def _drop_no_policy(customizations: dict[str, Any]) -> dict[str, Any]:
    openscap = customizations.get("openscap")
    if not isinstance(openscap, dict) or openscap.get("policy_id") != _NO_POLICY:
        return customizations
    profile = {name: value for name, value in openscap.items() if name != "policy_id"}
    others = {name: value for name, value in customizations.items() if name != "openscap"}
    return {**others, "openscap": profile} if profile else others
