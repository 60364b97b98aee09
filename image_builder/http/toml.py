"""Reads and writes osbuild blueprints in TOML: bodies and exports (openapi.yaml, media type application/toml)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import tomli_w

from domain.errors import InvalidRequestError
from domain.osbuild.blueprint import parse_blueprint, to_osbuild_document
from domain.texts import list_names

# Fields of an export, besides customizations, that osbuild blueprints do not have.
_API_ONLY_FIELDS: Final = ("bootc", "snapshot_date", "content_sources")


def create_request_from_toml(text: str, image: Mapping[str, Any]) -> dict[str, Any]:
    """Convert an osbuild blueprint to a CreateBlueprintRequest (openapi.yaml), which is not validated yet.

    osbuild blueprints do not describe images: `image` holds `architecture`, `image_type` and `upload_type`, from the
    query parameters. Raises InvalidRequestError if the text is no osbuild blueprint, or has fields that the API does
    not support; it names the first of these fields and their number.
    """
    blueprint = parse_blueprint(text)
    if blueprint.unknown:
        raise InvalidRequestError(f"Unsupported fields in the blueprint: {list_names(blueprint.unknown)}")
    return {
        "name": blueprint.name,
        "description": blueprint.description,
        **({} if blueprint.distribution is None else {"distribution": blueprint.distribution}),
        "image_requests": [
            {
                "architecture": image["architecture"],
                "image_type": image["image_type"],
                "upload_request": {"type": image["upload_type"], "options": {}},
            }
        ],
        "customizations": blueprint.customizations,
    }


def format_export(exported: Mapping[str, Any]) -> str:
    """Format an export (openapi.yaml, schema BlueprintExportResponse) as TOML."""
    osbuild_document, unsupported = to_osbuild_document(
        exported["name"],
        exported["description"],
        exported.get("distribution"),
        _without_has_password(exported["customizations"]),
    )
    return format_blueprint(
        osbuild_document, [*(name for name in _API_ONLY_FIELDS if exported.get(name)), *unsupported]
    )


def format_blueprint(osbuild_document: Mapping[str, Any], left_out: Sequence[str] = ()) -> str:
    """Format an osbuild blueprint as TOML.

    `left_out` are the paths of fields that an osbuild blueprint cannot express; they are listed in a comment at the
    top.
    """
    comment = ["# Left out, as an osbuild blueprint has no place for it:", *(f"# - {path}" for path in left_out), ""]
    return "\n".join([*(comment if left_out else ()), tomli_w.dumps(osbuild_document)])


def _without_has_password(customizations: Mapping[str, Any]) -> dict[str, Any]:
    """The customizations without `hasPassword` of users, which is no customization."""
    if "users" not in customizations:
        return dict(customizations)
    users = [{name: each for name, each in user.items() if name != "hasPassword"} for user in customizations["users"]]
    return {**customizations, "users": users}
