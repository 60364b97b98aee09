"""The paths of the service's resources, and requests for them with exact bytes."""

from __future__ import annotations

from tests.support import raw_http
from tests.support.builders import identity
from tests.support.raw_http import Answer
from tests.support.service import BASE, Service

IDENTITY = {"x-rh-identity": identity("addresses")}
UNKNOWN = "7709b691-15a9-4dae-ae96-d6584b9f389f"
# Each operation's own methods; HEAD comes with GET.
ROUTES = {
    "/version": {"GET"},
    "/ready": {"GET"},
    "/openapi.json": {"GET"},
    "/distributions": {"GET"},
    "/architectures/centos-9": {"GET"},
    "/compose": {"POST"},
    "/composes": {"GET"},
    f"/composes/{UNKNOWN}": {"GET", "DELETE"},
    f"/composes/{UNKNOWN}/metadata": {"GET"},
}
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]


def ask(service: Service, target: str | bytes, method: str = "GET", *, identified: bool = True) -> Answer:
    """Send a request to a path below the base, byte by byte."""
    raw = target if isinstance(target, bytes) else target.encode("latin-1")
    return raw_http.call(service.url, method, BASE.encode() + raw, IDENTITY if identified else {})


def short(text: str) -> str:
    """A short test id for a value."""
    return text if len(text) < 60 else f"{text[:8]}... {len(text)} characters"
