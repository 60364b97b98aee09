"""How a repository fails, in the words of the domain's errors."""

from __future__ import annotations

from domain.errors import UnavailableError


def damaged(what: str) -> UnavailableError:
    """What came is not what was promised; a repository that changes while it is read looks so, too."""
    return UnavailableError(what)


def final(what: str) -> UnavailableError:
    """Asking the same place again will not help."""
    return UnavailableError(what, retry_after=None)
