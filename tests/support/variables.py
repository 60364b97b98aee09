"""The environment variables that the service reads, as its settings declare them."""

from __future__ import annotations

from image_builder.settings import ALL


def variables_read() -> set[str]:
    """The names of all."""
    return set(ALL)


def secrets_read() -> set[str]:
    """The names of those whose values nobody may see."""
    return {name for name, variable in ALL.items() if variable.secret}
