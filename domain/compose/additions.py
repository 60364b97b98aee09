"""What the service itself adds to an image's customizations, whatever form the composer's request has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Additions:
    """Additions for one purpose, such as a registration.

    `directories` and `first_files` come before the request's own, `last_files` after them. `certificates` are PEM texts
    of authorities that the machine trusts, `services` are names of units that are enabled. Directories and files have
    the fields that the schemas Directory and File of openapi.yaml give them.
    """

    directories: tuple[dict[str, Any], ...] = ()
    first_files: tuple[dict[str, Any], ...] = ()
    last_files: tuple[dict[str, Any], ...] = ()
    certificates: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
