"""Logs and bills of materials of a compose, in the forms of osbuild and SPDX 2.3."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

_PIPELINES: Final = {
    "build": ("org.osbuild.rpm", "org.osbuild.selinux"),
    "os": ("org.osbuild.rpm", "org.osbuild.users", "org.osbuild.selinux"),
    "image": ("org.osbuild.mkfs.xfs", "org.osbuild.copy"),
}


def image_builds(request: Mapping[str, Any], image_status: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The results of osbuild for an image of this status; none before the build has ended."""
    status = image_status["status"]
    if status not in ("success", "failure"):
        return []
    result: dict[str, Any] = {"success": status == "success", "arch": "x86_64", "host_os": "stand-in composer"}
    error = image_status.get("error")
    if error is None or "upload_status" in image_status:  # it was built, and maybe not uploaded
        result["osbuild_output"] = {"type": "result", "success": True, "log": _log(request)}
    elif error.get("id") == 10:
        result["osbuild_output"] = {"type": "result", "success": False, "log": _log(request, failed="os")}
    if error is not None:
        result["job_error"] = error
    return [result]


def sboms(packages: Iterable[Mapping[str, str]]) -> list[dict[str, Any]]:
    """The bills of the image and of what it was built with."""
    return [
        {
            "sbom_type": "spdx",
            "pipeline_name": pipeline,
            "pipeline_purpose": purpose,
            "sbom": {
                "spdxVersion": "SPDX-2.3",
                "SPDXID": "SPDXRef-DOCUMENT",
                "name": f"sbom-by-stand-in-composer-{pipeline}",
                "dataLicense": "CC0-1.0",
                "packages": [
                    {
                        "SPDXID": f"SPDXRef-{number}",
                        "name": package["name"],
                        "versionInfo": f"{package['version']}-{package['release']}",
                        "downloadLocation": "NOASSERTION",
                    }
                    for number, package in enumerate(packages)
                ],
            },
        }
        for pipeline, purpose in (("build", "buildroot"), ("os", "image"))
    ]


def _log(request: Mapping[str, Any], failed: str | None = None) -> dict[str, Any]:
    """The output of each stage, up to the last one of the pipeline that `failed`; like osbuild's, it tells secrets."""
    log: dict[str, Any] = {}
    for pipeline, stages in _PIPELINES.items():
        log[pipeline] = [
            {"type": stage, "id": f"{pipeline}-{number}", "success": True, "output": _output(stage, request)}
            for number, stage in enumerate(stages)
        ]
        if pipeline == failed:
            log[pipeline][-1].update(success=False, output="setfiles: conflicting specifications\n")
            break
    return log


def _output(stage: str, request: Mapping[str, Any]) -> str:
    customizations = request.get("customizations") or {}
    if stage == "org.osbuild.users":
        users = customizations.get("users") or []
        return "".join(f"useradd {user.get('name')} --password {user.get('password')}\n" for user in users)
    if stage == "org.osbuild.rpm":
        subscription = customizations.get("subscription") or {}
        register = f"activation key: {subscription['activation_key']}\n" if "activation_key" in subscription else ""
        return f"{register}Installing: {', '.join(customizations.get('packages') or ['@core'])}\n"
    return f"{stage}: done\n"
