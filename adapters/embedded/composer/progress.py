"""The status of a compose, computed only from its plan and the time since its request."""

from __future__ import annotations

import time
from hashlib import sha256
from typing import Any, Final

from adapters.embedded.composer import build_errors
from adapters.embedded.composer.plan import Outcome, Plan

# The fractions of the build time at which a build leaves the stage of this name.
PENDING: Final = 0.1
DEPSOLVING: Final = 0.25
BUILDING: Final = 0.75
UPLOADING: Final = 0.9
PIPELINES: Final = 4

# Seconds for which a download link is valid, as with the real composer.
LINK_LIFETIME: Final = 7 * 24 * 3600
HOST: Final = "https://stand-in-composer.invalid"
FILES: Final = {
    "edge-commit": "commit.tar",
    "guest-image": "disk.qcow2",
    "oci": "disk.qcow2",
    "pxe-tar-xz": "pxe.tar.xz",
    "vsphere": "disk.vmdk",
    "vsphere-ova": "image.ova",
    "wsl": "image.wsl",
}


def status(image_status: dict[str, Any]) -> str:
    """The status of a compose (pending, success or failure) for the status of its image."""
    value: str = image_status["status"]
    return value if value in ("success", "failure") else "pending"


def image_status(plan: Plan, compose_id: str, created_at: float, elapsed: float, seconds: float) -> dict[str, Any]:
    """The composer's ImageStatus `elapsed` seconds after the request, for a build that takes `seconds`.

    `created_at` is the time of the request in seconds since the epoch.
    """
    part = elapsed / seconds if elapsed < seconds and seconds > 0 else 1.0
    if part < PENDING:
        return {"status": "pending"}
    if plan.outcome is Outcome.NOT_DEPSOLVED and part >= DEPSOLVING:
        return {"status": "failure", "error": _not_depsolved(plan)}
    error_id = build_errors.find_error_id(plan.packages[0]) if plan.outcome is Outcome.FAILED else None
    if error_id is not None and part >= BUILDING and not build_errors.is_of_upload(error_id):
        return {"status": "failure", "error": build_errors.build_error(error_id)}
    if part < BUILDING:
        return {
            "status": "building",
            "progress": _progress(compose_id, (part - PENDING) / (BUILDING - PENDING)),
        }
    return _uploading(plan, compose_id, created_at, part)


def _uploading(plan: Plan, compose_id: str, created_at: float, part: float) -> dict[str, Any]:
    if part >= UPLOADING and plan.outcome is not Outcome.SUCCESS:
        return {"status": "failure", "error": _not_uploaded(plan), **_uploads(plan, compose_id, created_at, "failure")}
    if part >= 1:
        return {"status": "success", **_uploads(plan, compose_id, created_at, "success")}
    stage = "registering" if part >= UPLOADING and plan.upload_type == "aws" else "uploading"
    return {"status": stage, **_uploads(plan, compose_id, created_at, "running")}


def _progress(compose_id: str, part: float) -> dict[str, Any]:
    done, rest = divmod(part * PIPELINES, 1)
    stages = 8 + _number(compose_id, int(done)) % 24
    return {
        "done": int(done),
        "total": PIPELINES,
        "subprogress": {"done": int(rest * stages), "total": stages},
    }


def _uploads(plan: Plan, compose_id: str, created_at: float, value: str) -> dict[str, Any]:
    options = _options(plan, compose_id, created_at)
    if value != "success":
        known = ("region", "project_id")
        options = {key: text if key in known else "" for key, text in options.items()}
    upload = {"status": value, "type": plan.upload_type, "options": options}
    return {"upload_status": upload, "upload_statuses": [upload]}


def _options(plan: Plan, compose_id: str, created_at: float) -> dict[str, str]:
    image_name = plan.image_name or f"composer-api-{compose_id}"
    match plan.upload_type:
        case "aws":
            return {"ami": f"ami-{_number(compose_id, 0):017x}", "region": plan.region}
        case "gcp":
            return {"image_name": image_name, "project_id": "stand-in-composer"}
        case "azure":
            return {"image_name": image_name}
    file = FILES.get(plan.image_type, "installer.iso" if plan.image_type.endswith(("installer", "iso")) else "disk.img")
    signed_at = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(created_at))
    signature = f"X-Amz-Date={signed_at}&X-Amz-Expires={LINK_LIFETIME}&X-Amz-Signature=stand-in"
    return {"url": f"{HOST}/composer-api-{compose_id}-{file}?{signature}"}


def _not_depsolved(plan: Plan) -> dict[str, Any]:
    cause = {
        "id": 21,
        "reason": "DNF error occurred: MarkingErrors",
        "details": "Error occurred when marking packages for installation: Problems in request:\nmissing packages: "
        + ", ".join(plan.packages),
    }
    return {"id": 5, "reason": "Manifest dependency failed: error in depsolve job", "details": [cause]}


def _not_uploaded(plan: Plan) -> dict[str, Any]:
    error_id = build_errors.find_error_id(plan.packages[0])
    if error_id is not None:
        return build_errors.build_error(error_id)
    cause = {
        "id": 11,
        "reason": f"Error uploading image: {plan.upload_type} refused it",
        "details": f"asked to fail by package {plan.packages[0]}",
    }
    return {"id": 28, "reason": "at least one target failed", "details": [cause]}


def _number(compose_id: str, salt: int) -> int:
    return int.from_bytes(sha256(f"{compose_id}/{salt}".encode()).digest()[:8])
