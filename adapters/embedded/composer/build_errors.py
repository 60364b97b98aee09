"""The errors of failed builds, by the composer's ids, in the forms that the real composer uses.

A package `build-error-ID` in a request makes its build fail with the error of this id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

PREFIX: Final = "build-error-"

_ACCOUNT: Final = "123456789012"
_REPOSITORY: Final = "https://repo.invalid/os/"
_CONTAINER: Final = "registry.invalid/team/app:latest"
_OSTREE: Final = "https://ostree.invalid/repo/"
_DNF: Final = "DNF error occurred"

# Reason and details of the error that explains the failure.
_CAUSES: Final[Mapping[int, tuple[str, Any]]] = {
    1: ("No dynamic arguments", None),
    2: ("Invalid target configuration", f"account {_ACCOUNT}: no such region"),
    3: ("Unable to share the image", f"failed to share the image with {_ACCOUNT}: InvalidAMIAttributeItemValue"),
    4: ("Invalid upload target", f"account {_ACCOUNT} does not permit the upload"),
    5: ("Error in depsolve job", None),
    6: ("Unable to read the status of a job", None),
    7: ("Unable to parse dynamic arguments", None),
    8: ("Unable to generate the manifest", "the generator ended with status 1"),
    9: ("Manifest dependency failed", None),
    10: ("osbuild build failed", "stage org.osbuild.selinux: setfiles: conflicting specifications"),
    11: ("Error uploading image", f"upload to account {_ACCOUNT}: connection reset"),
    12: ("Error importing image", f"import in account {_ACCOUNT}: timeout"),
    17: ("Invalid worker configuration", None),
    18: ("Result of an old worker", None),
    19: ("Empty manifest", None),
    20: (
        f"{_DNF}: DepsolveError",
        "There was a problem depsolving bash: \n Problem: nothing provides libfoo.so.1 needed by foo-1.0-1.el9.x86_64",
    ),
    21: (
        f"{_DNF}: MarkingErrors",
        "Error occurred when marking packages for installation: Problems in request:\nmissing packages: ngnix",
    ),
    22: (f"{_DNF}: InvalidRequest", "the request has no solver"),
    23: ("Error reading the metadata of a repository", f"the metadata of {_REPOSITORY} cannot be read"),
    24: ("No package specifications", None),
    25: (
        f"{_DNF}: RepoError",
        f"There was a problem reading a repository: Failed to download metadata for repo 'os' [{_REPOSITORY}]: 404",
    ),
    26: ("A dependency failed", None),
    27: ("The worker that ran this job is gone", None),
    28: ("At least one target failed", None),
    29: ("Unable to parse the arguments of a job", None),
    30: ("Error resolving a container", f"{_CONTAINER}: manifest unknown"),
    31: ("Error looking up a container", f"{_CONTAINER}: 503 Service Unavailable"),
    32: ("Invalid OSTree ref", None),
    33: ("Error resolving an OSTree ref", f"{_OSTREE}refs/heads/edge"),
    34: ("Invalid OSTree parameters", None),
    35: ("Error looking up OSTree", f"{_OSTREE}refs/heads/edge: 404"),
    36: ("Error reading a remote file", "https://files.invalid/setup: 404"),
    37: ("The worker crashed", None),
    38: ("Unable to sign the download link", None),
    39: ("Invalid repository URL", f"{_REPOSITORY}: no metadata"),
}
# The errors in which a cause is found, from the outermost one: those of failed jobs and of failed upload targets.
_PACKAGES: Final = (9, 5)
_MANIFEST: Final = (9,)
_TARGET: Final = (28,)
_WRAPPERS: Final[Mapping[int, Sequence[int]]] = {
    **dict.fromkeys((20, 21, 22, 23, 24, 25, 39), _PACKAGES),
    **dict.fromkeys((8, 19, 30, 31, 32, 33, 34, 35, 36), _MANIFEST),
    **dict.fromkeys((2, 3, 4, 11, 12), _TARGET),
}

IDS: Final = tuple(_CAUSES)


def find_error_id(package: str) -> int | None:
    """The id of the error that this package of a request stands for, None for any other package."""
    number = package.removeprefix(PREFIX)
    if number == package or not (number.isascii() and number.isdigit()):
        return None
    return int(number) if int(number) in _CAUSES else None


def is_of_upload(identifier: int) -> bool:
    """Whether the image is built before this error happens."""
    return _WRAPPERS.get(identifier) == _TARGET or identifier in (*_TARGET, 38)


def build_error(identifier: int) -> dict[str, Any]:
    """The error of this id as the composer reports it, in the errors that wrap it."""
    error = _error(identifier)
    for wrapper in reversed(_WRAPPERS.get(identifier, ())):
        error = {**_error(wrapper), "details": [error]}
    return error


def _error(identifier: int) -> dict[str, Any]:
    reason, details = _CAUSES[identifier]
    return {"id": identifier, "reason": reason, "details": details}
