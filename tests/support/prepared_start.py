"""Does once what every start of the service repeats: most of the CPU time of a start, after its imports.

What is kept depends on files of this checkout only, which do not change during a run of tests. Each started program is
forked, so it has a copy of its own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Hashable
from typing import Any, Final
from unittest.mock import patch

from connexion.spec import OpenAPISpecification

from adapters.files.project_files import DISTRIBUTIONS
from image_builder import app
from image_builder.composition import adapters

# What the service needs to be created; it connects to none of them.
_ENVIRONMENT: Final = {"PGHOST": "127.0.0.1", "PGUSER": "nobody", "COMPOSER_URL": "http://127.0.0.1:1"}


def prepare() -> None:
    """Create the service once, and keep the results of its slow steps for programs that are forked from this one."""
    _keep(adapters, "load_distributions", _checkout)
    _keep(adapters, "load_profiles", _checkout)
    _keep(
        adapters,
        "Contract",
        lambda installed, profiles, paths, header: (tuple(installed), tuple(profiles), paths, header),
    )
    _keep(OpenAPISpecification, "_validate_spec", lambda document: json.dumps(document, sort_keys=True))
    with patch.dict(os.environ, _ENVIRONMENT, clear=True):
        app.create()


def _checkout(directory: object, *_: object) -> Hashable:
    return directory if directory == DISTRIBUTIONS else None


def _keep(owner: Any, name: str, key_of: Callable[..., Hashable]) -> None:
    """Replace a function by one that returns earlier results for equal keys; None is not kept."""
    function = getattr(owner, name)
    results: dict[Hashable, Any] = {}

    def call(*arguments: Any) -> Any:
        key = key_of(*arguments)
        if key is None:
            return function(*arguments)
        if key not in results:
            results[key] = function(*arguments)
        return results[key]

    setattr(owner, name, staticmethod(call))
