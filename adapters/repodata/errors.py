"""Errors of repositories, as UnavailableError. Texts of servers in them are made safe for terminals."""

from __future__ import annotations

from adapters.repodata.text import printable
from domain.errors import UnavailableError


def content_error(what: str) -> UnavailableError:
    """Return the error for content that is damaged or differs from its checksum.

    It can be retried, because a repository that changes during the download has the same effect.
    """
    return UnavailableError(printable(what))


def permanent_error(what: str) -> UnavailableError:
    """Return an error that another attempt at the same URL would not avoid."""
    return UnavailableError(printable(what), retry_after=None)


def add_context(what: str, error: UnavailableError) -> UnavailableError:
    """Return the error with `what` in front of its message."""
    return UnavailableError(printable(f"{what}: {error.detail}"), retry_after=error.retry_after)
