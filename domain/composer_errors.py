"""Whose fault it is when the composer refuses a build (contract: composer v2, Error; an `id` is a number as text)."""

from __future__ import annotations

from enum import StrEnum
from http import HTTPStatus
from typing import Final


class Fault(StrEnum):
    """Who has to change something before the composer accepts the build."""

    USER = "user"
    SERVICE = "service"
    COMPOSER = "composer"


# What the caller asked for cannot be built.
_OF_THE_USER: Final = (
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
# This service sent something wrong, or is not authorized. All come with a 4xx.
_OF_THE_SERVICE: Final = (
    "2",  # unauthorized
    "3",  # unsupported media type
    "20",  # malformed JSON
    "21",  # unknown resource
    "22",  # method not allowed
    "23",  # not acceptable
    "28",  # no tenant in the token
    "401",  # not authenticated
)
# Internal errors.
_OF_THE_COMPOSER: Final = (*map(str, range(1000, 1024)), *map(str, range(10000, 10004)))

_FAULTS: Final = {
    **dict.fromkeys(_OF_THE_USER, Fault.USER),
    **dict.fromkeys(_OF_THE_SERVICE, Fault.SERVICE),
    **dict.fromkeys(_OF_THE_COMPOSER, Fault.COMPOSER),
}


def fault_of_refusal(status: int, error_id: str | None) -> Fault:
    """Whose fault a refusal of `POST /compose` is: by the error's id, and by the HTTP status where the id is unknown.

    `error_id` is None for an answer that is not the composer's own, for instance a proxy's: never the user's fault.
    """
    known = _FAULTS.get(error_id or "")
    if known is not None:
        return known
    if status == HTTPStatus.BAD_REQUEST and error_id is not None:
        return Fault.USER
    return Fault.COMPOSER if status >= HTTPStatus.INTERNAL_SERVER_ERROR else Fault.SERVICE
