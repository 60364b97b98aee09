"""Additions of the service to an image's customizations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Additions:
    """Additions for one purpose, such as a registration.

    `directories` and `first_files` are inserted before those of the request, `last_files` after them. `certificates`
    are PEM texts of certificate authorities that the machine trusts. `services` are the names of systemd units to
    enable. Directories and files have the fields of the schemas Directory and File (openapi.yaml).
    """

    directories: tuple[dict[str, Any], ...] = ()
    first_files: tuple[dict[str, Any], ...] = ()
    last_files: tuple[dict[str, Any], ...] = ()
    certificates: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
