"""Classifies the composer's errors by who must act.

The ids are those of the schema Error in the composer's OpenAPI document (version 2): decimal numbers as strings.
"""

from __future__ import annotations

from enum import StrEnum
from http import HTTPStatus
from typing import Final


class Fault(StrEnum):
    """Who must act before the composer accepts the build; SERVICE is this service."""

    USER = "user"
    SERVICE = "service"
    COMPOSER = "composer"


# The user must change the request: the build is impossible.
_USER_ERROR_IDS: Final = (
    "4",  # unsupported distribution
    "5",  # unsupported architecture
    "6",  # unsupported image type
    "7",  # repository without baseurl, mirrorlist or metalink
    "8",  # packages cannot be resolved
    "9",  # invalid OSTree ref
    "10",  # OSTree repository cannot be resolved
    "11",  # no manifest can be made: the image type does not support a customization
    "24",  # payload repository without baseurl
    "25",  # unsupported number of images
    "27",  # invalid OSTree parameters, or a combination of them
    "29",  # check_gpg without gpgkey
    "30",  # request does not fit the composer's OpenAPI document
    "32",  # image cannot be made in several copies
    "35",  # invalid customization
    "37",  # invalid partitioning mode
    "38",  # invalid upload target for the image type
    "39",  # blueprint and customizations together
    "40",  # the blueprint is of another distribution
    "41",  # the blueprint is of another architecture
    "42",  # invalid request
)
# Operators or developers of this service must act: its request was wrong or not authorized.
_SERVICE_ERROR_IDS: Final = (
    "2",  # unauthorized
    "3",  # unsupported media type
    "20",  # malformed JSON
    "21",  # unknown resource
    "22",  # method not allowed
    "23",  # not acceptable
    "28",  # no tenant in the token
    "401",  # not authenticated
)
# The composer uses 1000 to 1023 and 10000 to 10003 for internal errors.
_COMPOSER_ERROR_IDS: Final = (*map(str, range(1000, 1024)), *map(str, range(10000, 10004)))

_FAULTS: Final = {
    **dict.fromkeys(_USER_ERROR_IDS, Fault.USER),
    **dict.fromkeys(_SERVICE_ERROR_IDS, Fault.SERVICE),
    **dict.fromkeys(_COMPOSER_ERROR_IDS, Fault.COMPOSER),
}


def classify_error(status: int, error_id: str | None) -> Fault:
    """Return who must act after the composer refused `POST /compose` with this HTTP status and error id.

    For an unknown id, status 400 is USER, 5xx is COMPOSER, and any other status is SERVICE. `error_id` is None if the
    answer did not come from the composer (for instance, from a proxy); the result is then never USER.
    """
    fault = _FAULTS.get(error_id or "")
    if fault is not None:
        return fault
    if status == HTTPStatus.BAD_REQUEST and error_id is not None:
        return Fault.USER
    return Fault.COMPOSER if status >= HTTPStatus.INTERNAL_SERVER_ERROR else Fault.SERVICE
