"""All that is wrong with the configuration at once: variables, and what the files that they name hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from adapters.files.distributions import load_allow_list, load_distributions
from adapters.files.quotas import load_quotas
from domain.errors import ConfigurationError
from image_builder.environment import Environment, environment
from image_builder.settings import Settings
from image_builder.variables import look, told, variables

# What a file is read with at start, by the field that names it.
_READERS: Mapping[str, Callable[[Path], object]] = {
    "distributions": load_distributions,
    "quota_file": load_quotas,
    "allow_file": load_allow_list,
}


def faults(found: Environment) -> dict[str, str]:
    """What is wrong with the service's variables, by name."""
    values, wrong = look(Settings, found.values)
    return {**found.faults, **wrong, **dict(_of_files(values))}


@contextmanager
def all_faults_at_once() -> Iterator[None]:
    """Where the first thing wrong with the configuration raises ConfigurationError: the same, with all that is."""
    try:
        yield
    except ConfigurationError as error:
        found = faults(environment())
        if not found:
            raise
        text = told(found)
        unsaid = [line for line in error.detail.splitlines() if line.strip() not in text]
        raise ConfigurationError("\n".join([text, *unsaid])) from error


def _of_files(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    names = {field: variable.name for field, variable in variables(Settings).items()}
    for field, load in _READERS.items():
        path = values.get(field)
        if path is None:
            continue
        try:
            load(path)
        except ConfigurationError as error:
            yield names[field], error.detail.replace("\n", "\n    ")
