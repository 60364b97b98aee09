"""Blueprints as TOML text (contract: application/toml)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import tomli_w

from domain.errors import InvalidRequestError
from domain.osbuild.blueprint import document, read
from domain.texts import listed

_ONLY_OURS: Final = ("bootc", "snapshot_date", "content_sources")


def blueprint_document(text: str, image: Mapping[str, Any]) -> dict[str, Any]:
    """The CreateBlueprintRequest, not checked yet, of an osbuild blueprint.

    TOML says nothing of images: `image` names `architecture`, `image_type` and `upload_type`. Raises
    InvalidRequestError for what is no such blueprint, and for fields that have no place in ours: it names the first of
    them and tells how many there are.
    """
    blueprint = read(text)
    if blueprint.unknown:
        raise InvalidRequestError(f"Unsupported fields in the blueprint: {listed(blueprint.unknown)}")
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


def export_text(exported: Mapping[str, Any]) -> str:
    """The TOML of an export (contract: BlueprintExportResponse)."""
    written, lost = document(
        exported["name"],
        exported["description"],
        exported.get("distribution"),
        _without_remarks(exported["customizations"]),
    )
    return blueprint_text(written, [*(name for name in _ONLY_OURS if exported.get(name)), *lost])


def blueprint_text(written: Mapping[str, Any], left_out: Sequence[str] = ()) -> str:
    """The TOML of an osbuild blueprint, of a document and what it leaves out as `domain.osbuild.blueprint.document`
    gives them; the latter becomes a comment at the top.
    """
    comment = ["# Left out, as an osbuild blueprint has no place for it:", *(f"# - {path}" for path in left_out), ""]
    return "\n".join([*(comment if left_out else ()), tomli_w.dumps(written)])


def _without_remarks(customizations: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is only said about users."""
    if "users" not in customizations:
        return dict(customizations)
    users = [{name: each for name, each in user.items() if name != "hasPassword"} for user in customizations["users"]]
    return {**customizations, "users": users}
