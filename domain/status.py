"""How a build goes, out of what the composer says of it (contract: ImageStatus)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, Final

from domain.documents import LARGEST_DETAILS, is_within
from domain.texts import shortened

# Errors that only wrap the one that tells the user something.
_WRAPPERS: Final = frozenset({5, 9, 26, 28})

# Stands for details that are not kept.
TOO_LARGE: Final = "The details are left out, because they are too large or nested too deeply."

_ON_ITS_WAY: Final = frozenset({"pending", "running"})

_UPLOAD_OPTIONS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "aws": ("ami", "region"),
        "aws.s3": ("url",),
        "gcp": ("image_name", "project_id"),
        "azure": ("image_name",),
        "oci.objectstorage": ("url",),
    }
)


@dataclass(frozen=True, slots=True)
class BuildError:
    """Why a build failed; `details` is any JSON value, None where there are none."""

    id: int
    reason: str
    details: Any = None


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` of `total` steps, and the same of the step at hand."""

    done: int
    total: int
    subprogress: Progress | None = None


@dataclass(frozen=True, slots=True)
class UploadStatus:
    """How the upload goes; `options` say where the image is, by `type`."""

    status: str
    type: str
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ImageStatus:
    """How the build of one image goes."""

    status: str
    progress: Progress | None = None
    upload_status: UploadStatus | None = None
    error: BuildError | None = None


@dataclass(frozen=True, slots=True)
class ComposeStatus:
    """What the composer says of a build: its `status` as a whole (`success`, `failure`, else on its way), how its image
    goes, and the statuses of all its uploads.
    """

    status: str
    image: ImageStatus
    uploads: tuple[str, ...] = ()

    @property
    def is_final(self) -> bool:
        """Whether nothing of it will change any more."""
        return self.status in {"success", "failure"} and not _ON_ITS_WAY.intersection(self.uploads)


def as_document(status: ImageStatus) -> dict[str, Any]:
    """A final status as it is kept; how far it had come is of no interest any more."""
    document: dict[str, Any] = {"status": status.status}
    if status.upload_status is not None:
        document["upload_status"] = asdict(status.upload_status)
    if status.error is not None:
        document["error"] = asdict(status.error)
    return document


def from_document(document: Mapping[str, Any]) -> ImageStatus:
    """The status that `as_document` made a document of, maybe when errors were not bounded yet."""
    upload, error = document.get("upload_status"), document.get("error")
    return ImageStatus(
        document["status"],
        upload_status=None if upload is None else UploadStatus(**upload),
        error=None if error is None else bounded(BuildError(**error)),
    )


def bounded(error: BuildError) -> BuildError:
    """The error with no more of its reason and details than can be kept and shown.

    Of details that are too large, or nested too deeply, the error that tells what went wrong remains, and of its own
    only a text.
    """
    if not is_within(error.details, LARGEST_DETAILS):
        error = innermost(error)
    return BuildError(error.id, shortened(error.reason, LARGEST_DETAILS), bounded_details(error.details))


def bounded_details(details: Any) -> Any:
    """Details that are small enough; of a long text its beginning, of anything else a text that says so."""
    if isinstance(details, str):
        return shortened(details, LARGEST_DETAILS)
    return details if is_within(details, LARGEST_DETAILS) else TOO_LARGE


def innermost(error: BuildError) -> BuildError:
    """The error that tells what went wrong: wrapping errors are followed through their details."""
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


def upload_options(upload: UploadStatus) -> dict[str, Any]:
    """The options that belong to the upload's type, empty where the composer does not know them yet.

    Clients read them by type and break on others; a type unknown here passes with what it has.
    """
    names = _UPLOAD_OPTIONS.get(upload.type)
    if names is None:
        return dict(upload.options)
    return {name: upload.options.get(name) or "" for name in names}
