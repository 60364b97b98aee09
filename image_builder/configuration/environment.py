"""Sources of environment variables: the process, `local.env`, and Clowder's configuration file (docs/operations.md)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from dotenv import dotenv_values

from domain.errors import ConfigurationError
from image_builder.configuration.clowder import clowder_variables

_LOCAL_FILE: Final = "local.env"
_PROCESS: Final = "environment"
_CLOWDER: Final = "ACG_CONFIG"


@dataclass(frozen=True, slots=True)
class Environment:
    """The values of variables, the source of each value, and faults by source for sources that could not be read."""

    values: Mapping[str, str]
    sources: Mapping[str, str]
    faults: Mapping[str, str]


def load_environment() -> Environment:
    """Merge the sources. The process' environment overrides `local.env` in the working directory.

    Clowder's file overrides both, except an explicit LISTEN_ADDRESS. Empty variables count as unset, because templates
    set variables that they have no value for.
    """
    values: dict[str, str] = {}
    sources: dict[str, str] = {}
    faults: dict[str, str] = {}

    def merge(found: Mapping[str, str | None], source: str) -> None:
        for name, value in found.items():
            if value:
                values[name], sources[name] = value, source

    try:
        merge(dotenv_values(_LOCAL_FILE), _LOCAL_FILE)
    except (OSError, UnicodeDecodeError) as error:
        faults[_LOCAL_FILE] = f"cannot be read: {type(error).__name__}"
    merge(os.environ, _PROCESS)
    if _CLOWDER in values:
        try:
            found = clowder_variables(values[_CLOWDER])
        except ConfigurationError as error:
            faults[_CLOWDER] = error.detail
        else:
            explicit = {"LISTEN_ADDRESS"} & values.keys()
            merge({name: value for name, value in found.items() if name not in explicit}, _CLOWDER)
    return Environment(values, sources, faults)


def export_local_lines(declared: frozenset[str]) -> None:
    """Put lines of `local.env` that are not `declared` into the process' environment, for libraries that read it.

    Also removes empty variables from it: libpq treats an empty variable differently from an unset one.
    """
    for name, value in dotenv_values(_LOCAL_FILE).items():
        if value and name not in declared and not os.environ.get(name):
            os.environ[name] = value
    for name in [name for name, value in os.environ.items() if not value]:
        del os.environ[name]
