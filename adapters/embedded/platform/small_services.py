"""Provisioning and recommendations, which have one operation each, and the token for the latter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from adapters.embedded.platform.answers import RefusedError, json_object, org_id, texts
from adapters.embedded.platform.state import DocumentStore
from adapters.embedded.platform.steering import PlatformSteering
from adapters.embedded.stand_in.answers import answer, token_answer

# Seconds for which a token is valid.
_TOKEN_EXPIRES_IN: Final = 900
MODEL: Final = "stand-in-1"
RELATED_PACKAGES: Final = (
    ("nginx", "httpd", "mod_ssl", "certbot"),
    ("postgresql", "postgresql-server", "postgresql-contrib"),
    ("vim-enhanced", "vim", "tmux", "git"),
    ("podman", "buildah", "skopeo"),
    ("openssh-server", "openssh", "fail2ban", "firewalld"),
)


class Provisioning:
    """The operation of provisioning."""

    def __init__(self, store: DocumentStore) -> None:
        self._store = store

    async def get_upload_info(self, request: Request) -> Response:
        """The cloud account behind a source."""
        org_id(request, 400)
        source_id = request.path_params["id"]
        if not (source_id.isascii() and source_id.isdigit()):
            raise RefusedError(400, f"unable to parse ID {source_id!r}")
        source = self._store.find("sources", source_id)
        if source is None:
            raise RefusedError(404, "resource not found")
        return answer({"provider": "aws", "aws": None, "azure": None, "gcp": None} | source)


class Recommendations:
    """The operations of recommendations."""

    def __init__(self, steering: PlatformSteering) -> None:
        self._steering = steering

    async def post_token(self, request: Request) -> Response:
        """An access token for client credentials, as an OAuth2 server gives it."""
        return await token_answer(request, self._steering.tokens, _TOKEN_EXPIRES_IN)

    async def post_recommendations(self, request: Request) -> Response:
        """Packages that are related to those of the request."""
        self._steering.authorize(request)
        body = await json_object(request)
        packages, wanted = texts(body, "packages"), body.get("recommendedPackages", 3)
        if isinstance(wanted, bool) or not isinstance(wanted, int) or not isinstance(body.get("distribution"), str):
            raise RefusedError(422, "expected recommendedPackages: number, distribution: text")
        chosen = frozenset(packages)
        related = dict.fromkeys(name for package in packages for name in _related(package) if name not in chosen)
        return answer({"packages": list(related)[: max(wanted, 0)], "modelVersion": MODEL})


def _related(package: str) -> Iterator[str]:
    for names in RELATED_PACKAGES:
        if package in names:
            yield from names
    yield f"{package}-doc"
    yield f"{package}-libs"
