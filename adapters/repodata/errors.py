"""How a repository fails, in the words of the domain's errors; servers' text in them is harmless on a terminal."""

from __future__ import annotations

from adapters.repodata.text import printable
from domain.errors import UnavailableError


def content_error(what: str) -> UnavailableError:
    """What came is not what was promised; a repository that changes while it is read looks so, too."""
    return UnavailableError(printable(what))


def permanent_error(what: str) -> UnavailableError:
    """Asking the same place again will not help."""
    return UnavailableError(printable(what), retry_after=None)


def add_context(what: str, error: UnavailableError) -> UnavailableError:
    """The error, naming what it is about."""
    return UnavailableError(printable(f"{what}: {error.detail}"), retry_after=error.retry_after)
