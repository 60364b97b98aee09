"""Blueprints as request bodies, in TOML (osbuild's) and JSON, and exports in TOML (openapi.yaml, createBlueprint)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from domain.compose.targets import SHARING_TARGETS, find_upload_type
from domain.distribution_names import normalize_distribution_name
from domain.errors import InvalidRequestError
from domain.osbuild.blueprint import parse_blueprint, to_osbuild_document
from domain.osbuild.codecs import unknown_name_error
from domain.osbuild.toml_writer import write_toml
from domain.texts import list_names
from image_builder.usecases.export import Export

_DEFAULT_ARCHITECTURE: Final = "x86_64"
_DEFAULT_IMAGE_TYPE: Final = "guest-image"
_DEFAULT_UPLOAD_TYPE: Final = "aws.s3"
# Fields of an export, besides customizations, that osbuild blueprints do not have.
_API_ONLY_FIELDS: Final = ("bootc", "snapshot_date", "content_sources")


def create_request_from_toml(
    text: str, query: Mapping[str, Any], distributions: Collection[str] = ()
) -> dict[str, Any]:
    """Convert an osbuild blueprint to a CreateBlueprintRequest (openapi.yaml), which is not validated yet.

    `query` holds the query parameters, see `add_query`. `distributions` are all known names.

    Raises InvalidRequestError if the text is no osbuild blueprint, contradicts the query, or has keys that no osbuild
    blueprint has or that the composer has no place for; it names the first of these keys and their number.
    """
    blueprint = parse_blueprint(text)
    _refuse_keys(blueprint.unbuildable, blueprint.unknown)
    distribution = blueprint.distribution
    if distribution is not None and distributions:
        distribution = normalize_distribution_name(distribution, distributions)
        if distribution not in distributions:
            raise unknown_name_error("distro", distribution, sorted(distributions))
    document = {
        "name": blueprint.name or query.get("name") or "",
        **({"description": blueprint.description} if blueprint.description else {}),
        **({} if distribution is None else {"distribution": distribution}),
        **({} if blueprint.version is None else {"file_version": blueprint.version}),
        "customizations": blueprint.customizations,
    }
    completed: dict[str, Any] = add_query(document, query, blueprint.architecture)
    return completed


def add_query(document: Any, query: Mapping[str, Any], architecture: str | None = None) -> Any:
    """Add what a blueprint leaves out and the query parameters say; both are not validated yet.

    `query` holds `name`, `description`, `distribution`, `architecture` and `upload_type`, each a text or None, and the
    lists `image_type` and `share_with_account`. `architecture` is the blueprint's own. The snapshot date of an export
    is added to image requests that have none.

    Raises InvalidRequestError where the query gives another name than the blueprint, or accounts for images that are
    not shared.
    """
    if not isinstance(document, dict):
        return document
    completed = dict(document)
    name = query.get("name")
    if name and isinstance(completed.get("name"), str) and completed["name"] not in {"", name}:
        raise InvalidRequestError(f"name: the query says {name!r}, and the blueprint {completed['name']!r}")
    for field in ("description", "distribution"):
        if query.get(field) and field not in completed and not (field == "distribution" and "bootc" in completed):
            completed[field] = query[field]
    if "image_requests" not in completed:
        completed["image_requests"] = _create_image_requests(query, architecture)
    date = document.get("snapshot_date")
    if date and isinstance(completed["image_requests"], list):
        completed["image_requests"] = [_add_snapshot_date(image, date) for image in completed["image_requests"]]
    return completed


def _add_snapshot_date(image: Any, date: Any) -> Any:
    """The image request with the date of an export, unless it says itself which content it is built from."""
    has_own = not isinstance(image, dict) or image.get("snapshot_date") or image.get("content_template")
    return image if has_own else {**image, "snapshot_date": date}


def _create_image_requests(query: Mapping[str, Any], architecture: str | None) -> list[dict[str, Any]]:
    accounts = query.get("share_with_account") or []
    types = dict.fromkeys(query.get("image_type") or (_DEFAULT_IMAGE_TYPE,))
    targets = {each: query.get("upload_type") or find_upload_type(each) or _DEFAULT_UPLOAD_TYPE for each in types}
    if accounts and not set(SHARING_TARGETS).intersection(targets.values()):
        raise InvalidRequestError(
            f"share_with_account: expected an image_type that can be shared with accounts: {', '.join(SHARING_TARGETS)}"
        )
    return [
        {
            "architecture": architecture or query.get("architecture") or _DEFAULT_ARCHITECTURE,
            "image_type": image_type,
            "upload_request": {
                "type": target,
                "options": {"share_with_accounts": accounts} if accounts and target in SHARING_TARGETS else {},
            },
        }
        for image_type, target in targets.items()
    ]


def _refuse_keys(unbuildable: Sequence[str], unknown: Sequence[str]) -> None:
    reasons = []
    if unbuildable:
        reasons.append(f"This service cannot build what the blueprint asks for with: {list_names(unbuildable)}")
    if unknown:
        reasons.append(f"Unsupported fields in the blueprint: {list_names(unknown)}")
    if reasons:
        raise InvalidRequestError(". ".join(reasons))


def format_export(export: Export) -> str:
    """Format an export as an osbuild blueprint in TOML; a comment at the top names everything that it leaves out."""
    exported = export.document
    osbuild_document, unsupported = to_osbuild_document(
        exported["name"],
        exported["description"],
        exported.get("distribution"),
        _without_has_password(exported["customizations"]),
        architecture=export.architecture,
        version=exported.get("file_version"),
    )
    left_out = (
        *(name for name in _API_ONLY_FIELDS if exported.get(name)),
        *dict.fromkeys((*exported["metadata"].get("redacted", ()), *unsupported)),
    )
    return format_blueprint(osbuild_document, left_out)


def format_blueprint(osbuild_document: Mapping[str, Any], left_out: Sequence[str] = ()) -> str:
    """Format an osbuild blueprint as TOML.

    `left_out` are the paths of fields that it does not hold; they are listed in a comment at the top.
    """
    comment = ["# Left out, because an osbuild blueprint has no place for it, or it is a secret:"]
    comment += [f"# - {path}" for path in left_out]
    return "\n".join([*((*comment, "") if left_out else ()), write_toml(osbuild_document)])


def _without_has_password(customizations: Mapping[str, Any]) -> dict[str, Any]:
    """The customizations without `hasPassword` of users, which is no customization."""
    if "users" not in customizations:
        return dict(customizations)
    users = [{name: each for name, each in user.items() if name != "hasPassword"} for user in customizations["users"]]
    return {**customizations, "users": users}
