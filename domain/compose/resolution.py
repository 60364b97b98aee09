"""The composer's request that resolves the packages of a build (DepsolveRequest of its API)."""

from __future__ import annotations

from typing import Any

from domain.compose.request import Json

_TOP_LEVEL = ("packages", "groups", "modules", "enabled_modules")


def write_resolution_request(request: Json) -> dict[str, Any] | None:
    """Return the DepsolveRequest for a ComposeRequest of the composer, with the repositories that the build would use.

    None for a bootable container, whose packages the composer does not resolve.
    """
    if "distribution" not in request:
        return None
    image = request["image_request"]
    customizations = request.get("customizations") or {}
    return {
        "distribution": request["distribution"],
        "architecture": image["architecture"],
        "image_type": image["image_type"],
        "repositories": [*image["repositories"], *customizations.get("payload_repositories", ())],
        "blueprint": _write_blueprint(request.get("blueprint"), customizations),
    }


def _write_blueprint(blueprint: Json | None, customizations: Json) -> dict[str, Any]:
    if blueprint is not None:
        return {"name": "check", **{key: blueprint[key] for key in _TOP_LEVEL if key in blueprint}}
    names = customizations.get("packages", ())
    groups = [{"name": name[1:]} for name in names if name.startswith("@") and name != "@"]
    packages = [{"name": name} for name in names if not name.startswith("@")]
    return {
        "name": "check",
        **({"packages": packages} if packages else {}),
        **({"groups": groups} if groups else {}),
        **{key: customizations[key] for key in ("enabled_modules",) if key in customizations},
    }
