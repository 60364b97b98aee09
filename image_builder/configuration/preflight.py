"""Checks of the whole configuration at once: variables, and the content of the files that they name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from adapters.files.distributions import load_allow_list, load_distributions
from adapters.files.quotas import load_quotas
from domain.errors import ConfigurationError
from image_builder.configuration.environment import Environment, load_environment
from image_builder.configuration.settings import Settings
from image_builder.configuration.variables import format_faults, read_variables

# The function that the service reads a file with at its start, by variable.
_LOADERS: Final[Mapping[str, Callable[[Path], object]]] = {
    "DISTRIBUTIONS_DIR": load_distributions,
    "QUOTA_FILE": load_quotas,
    "ALLOW_FILE": load_allow_list,
}


def find_faults(environment: Environment) -> dict[str, str]:
    """What is wrong with the service's configuration, by variable."""
    values, faults = read_variables(Settings, environment.values)
    return {**environment.faults, **faults, **dict(_find_file_faults(values))}


@contextmanager
def report_all_faults() -> Iterator[None]:
    """Extend a ConfigurationError of the body, which names the first fault, to one that names all faults."""
    try:
        yield
    except ConfigurationError as error:
        faults = find_faults(load_environment())
        if not faults:
            raise
        text = format_faults(faults)
        missing = [line for line in error.detail.splitlines() if line.strip() not in text]
        raise ConfigurationError("\n".join([text, *missing])) from error


def _find_file_faults(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, load in _LOADERS.items():
        path = values.get(name)
        if path is None:
            continue
        try:
            load(path)
        except ConfigurationError as error:
            yield name, error.detail.replace("\n", "\n    ")
