"""Where the variables come from: the process' environment, a `local.env`, and the platform's file (spec: Back-ends)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from dotenv import dotenv_values

from domain.errors import ConfigurationError
from image_builder.clowder import clowder_variables

_LOCAL: Final = "local.env"
_PROCESS: Final = "environment"
_PLATFORM: Final = "ACG_CONFIG"


@dataclass(frozen=True, slots=True)
class Environment:
    """The variables that hold, and for each where its value comes from; `faults` are what could not be read."""

    values: Mapping[str, str]
    origins: Mapping[str, str]
    faults: Mapping[str, str]


def environment() -> Environment:
    """What holds now: lines of `local.env` in the working directory, before them the process' environment.

    The platform's file comes before both, but for an explicit LISTEN_ADDRESS. Empty ones count as unset: templates set
    variables that they have no value for.
    """
    values: dict[str, str] = {}
    origins: dict[str, str] = {}
    faults: dict[str, str] = {}

    def take(found: Mapping[str, str | None], origin: str) -> None:
        for name, value in found.items():
            if value:
                values[name], origins[name] = value, origin

    try:
        take(dotenv_values(_LOCAL), _LOCAL)
    except (OSError, UnicodeDecodeError) as error:
        faults[_LOCAL] = f"cannot be read: {type(error).__name__}"
    take(os.environ, _PROCESS)
    if _PLATFORM in values:
        try:
            said = clowder_variables(values[_PLATFORM])
        except ConfigurationError as error:
            faults[_PLATFORM] = error.detail
        else:
            explicit = {"LISTEN_ADDRESS"} & values.keys()
            take({name: value for name, value in said.items() if name not in explicit}, _PLATFORM)
    return Environment(values, origins, faults)


def hand_on(declared: frozenset[str]) -> None:
    """Put those lines of `local.env` into the process' environment that we do not read, but libraries may.

    Empty variables are taken out of it: what libpq makes of one is not what it does without.
    """
    for name, value in dotenv_values(_LOCAL).items():
        if value and name not in declared and not os.environ.get(name):
            os.environ[name] = value
    for name in [name for name, value in os.environ.items() if not value]:
        del os.environ[name]
