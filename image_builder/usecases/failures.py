"""Explain why a build failed (openapi.yaml, operation getComposeStatus)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import orjson

from domain.distributions import Catalogue
from domain.failures import Explanation, explain
from domain.status import BuildError
from ports.packages import PackageLists

# Bytes of a stored request up to which it is parsed for its distribution. For larger ones the hint has no similar
# names.
_MAX_REQUEST_SIZE: Final = 256 * 1024
# The number of misspelt names for which similar names are searched; each search takes a few milliseconds.
_MAX_NAMES: Final = 5


@dataclass(frozen=True, slots=True)
class ExplainFailure:
    """Explains the errors of builds, with names from the package lists of the build's distribution."""

    catalogue: Catalogue
    lists: PackageLists

    def __call__(self, error: BuildError, request: str | bytes) -> Explanation:
        """Return the explanation of a build's error; `request` is the build's request as JSON."""
        return explain(error, partial(self._find_similar, request))

    def _find_similar(self, request: str | bytes, names: Sequence[str]) -> Mapping[str, Sequence[str]]:
        image = _find_image(request)
        if image is None:
            return {}
        name, architecture = image
        distribution = self.catalogue.find(name, entitled=True)
        if distribution is None:
            return {}
        return self.lists.find_similar(distribution, architecture, names[:_MAX_NAMES])


def _find_image(request: str | bytes) -> tuple[str, str] | None:
    """Return the distribution and architecture of a stored request; None if it has none or cannot be parsed."""
    if len(request) > _MAX_REQUEST_SIZE:
        return None
    try:
        document = orjson.loads(request)
        distribution, architecture = document["distribution"], document["image_requests"][0]["architecture"]
    except (ValueError, TypeError, KeyError, IndexError):
        return None
    return (distribution, architecture) if isinstance(distribution, str) and isinstance(architecture, str) else None
