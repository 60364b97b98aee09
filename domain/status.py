"""The status of a build (openapi.yaml, schema ImageStatus)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from domain.documents import LARGEST_DETAILS, is_within
from domain.texts import shortened

# Ids of composer errors that only wrap the error that explains the failure.
_WRAPPERS: Final = frozenset({5, 9, 26, 28})

# The text that replaces details that are too large to be stored.
TOO_LARGE: Final = "The details are left out, because they are too large or nested too deeply."

# Statuses of an upload that has not ended.
_UNFINISHED: Final = frozenset({"pending", "running"})

# The names of the options of each upload type.
_UPLOAD_OPTIONS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "aws": ("ami", "region"),
        "aws.s3": ("url",),
        "gcp": ("image_name", "project_id"),
        "azure": ("image_name",),
        "oci.objectstorage": ("url",),
    }
)


_SIGNED_AT: Final = re.compile(r"[?&]X-Amz-Date=(\d{8}T\d{6})Z(?:&|$)", re.IGNORECASE | re.ASCII)
_EXPIRES: Final = re.compile(r"[?&]X-Amz-Expires=(\d{1,9})(?:&|$)", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class BuildError:
    """Why a build failed; `details` is any JSON value, None for no details."""

    id: int
    reason: str
    details: Any = None


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` of `total` steps; `subprogress` is the progress of the current step."""

    done: int
    total: int
    subprogress: Progress | None = None


@dataclass(frozen=True, slots=True)
class UploadStatus:
    """The status of an upload; `options` say where the image is, and depend on `type`."""

    status: str
    type: str
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ImageStatus:
    """The status of the build of one image."""

    status: str
    progress: Progress | None = None
    upload_status: UploadStatus | None = None
    error: BuildError | None = None


@dataclass(frozen=True, slots=True)
class ComposeStatus:
    """The status of a build at the composer.

    `status` is `success` or `failure`, and anything else while the build is running; `image` is the status of its
    image; `uploads` are the statuses of all its uploads.
    """

    status: str
    image: ImageStatus
    uploads: tuple[str, ...] = ()

    @property
    def is_final(self) -> bool:
        """Whether the status will not change any more."""
        return self.status in {"success", "failure"} and not _UNFINISHED.intersection(self.uploads)


def as_document(status: ImageStatus, *, with_progress: bool = False) -> dict[str, Any]:
    """A status as a JSON document to be stored; a final one is stored without its progress."""
    document: dict[str, Any] = {"status": status.status}
    if with_progress and status.progress is not None:
        document["progress"] = asdict(status.progress)
    if status.upload_status is not None:
        document["upload_status"] = asdict(status.upload_status)
    if status.error is not None:
        document["error"] = asdict(status.error)
    return document


def from_document(document: Mapping[str, Any]) -> ImageStatus:
    """The status of a document that `as_document` made. The error is bounded: older versions stored any size."""
    upload, error = document.get("upload_status"), document.get("error")
    return ImageStatus(
        document["status"],
        progress=_progress(document.get("progress")),
        upload_status=None if upload is None else UploadStatus(**upload),
        error=None if error is None else bounded(BuildError(**error)),
    )


def _progress(document: Mapping[str, Any] | None) -> Progress | None:
    if document is None:
        return None
    return Progress(document["done"], document["total"], _progress(document.get("subprogress")))


def bounded(error: BuildError) -> BuildError:
    """The error with its reason and details limited to LARGEST_DETAILS.

    If the details are too large or too deeply nested, the innermost error replaces the error, and a text its details.
    """
    if not is_within(error.details, LARGEST_DETAILS):
        error = innermost(error)
    return BuildError(error.id, shortened(error.reason, LARGEST_DETAILS), bounded_details(error.details))


def bounded_details(details: Any) -> Any:
    """The details if they are small enough; otherwise the beginning of a text, or TOO_LARGE for any other value."""
    if isinstance(details, str):
        return shortened(details, LARGEST_DETAILS)
    return details if is_within(details, LARGEST_DETAILS) else TOO_LARGE


def innermost(error: BuildError) -> BuildError:
    """The error that explains the failure, found by following wrapping errors through their details."""
    while error.id in _WRAPPERS:
        details = error.details
        inner = details[0] if isinstance(details, list) and details else details
        if not isinstance(inner, Mapping):
            return error
        identifier, reason = inner.get("id"), inner.get("reason")
        if not isinstance(identifier, int) or isinstance(identifier, bool) or not isinstance(reason, str):
            return error
        error = BuildError(identifier, reason, inner.get("details"))
    return error


def link_expires_at(upload: UploadStatus) -> datetime | None:
    """When the download link of an upload expires (UTC without a time zone); None for no link, or an unsigned one.

    The signature of the link says so: AWS Signature Version 4, query parameters X-Amz-Date and X-Amz-Expires.
    """
    url = upload.options.get("url")
    if not isinstance(url, str):
        return None
    signed, expires = _SIGNED_AT.search(url), _EXPIRES.search(url)
    if signed is None or expires is None:
        return None
    try:
        return datetime.strptime(signed[1], "%Y%m%dT%H%M%S") + timedelta(seconds=int(expires[1]))
    except (ValueError, OverflowError):
        return None


def upload_options(upload: UploadStatus) -> dict[str, Any]:
    """The options that belong to the upload's type, with empty text for those that the composer does not know yet.

    Other options are left out, because typed clients fail on them. For a type unknown here all options are returned.
    """
    names = _UPLOAD_OPTIONS.get(upload.type)
    if names is None:
        return dict(upload.options)
    return {name: upload.options.get(name) or "" for name in names}
