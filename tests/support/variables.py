"""The environment variables that the service reads, as its settings declare them."""

from __future__ import annotations

from image_builder.configuration.settings import ALL_VARIABLES


def variables_read() -> set[str]:
    """The names of all variables."""
    return set(ALL_VARIABLES)


def secrets_read() -> set[str]:
    """The names of the variables with secret values."""
    return {name for name, variable in ALL_VARIABLES.items() if variable.secret}
