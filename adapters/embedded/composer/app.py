"""The routes: the composer's API, a token endpoint beside it, and what the stand-in alone answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final
from urllib.parse import parse_qs

import orjson
from marshmallow import ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from adapters.embedded.composer.answers import BASE, RefusedError, answer
from adapters.embedded.composer.behaviour import Behaviour
from adapters.embedded.composer.operations import Operations
from adapters.embedded.composer.state import Composes
from adapters.embedded.composer.steering import Steering
from adapters.embedded.serving import cut_off

Handler = Callable[[Request], Awaitable[Response]]
UNKNOWN: Final = {
    404: ("21", "Requested resource doesn't exist"),
    405: ("22", "Requested method isn't supported"),
}


def build(composes: Composes, steering: Steering, seconds: float) -> Starlette:
    """The application; a build takes that many seconds."""
    own = OwnRoutes(composes, steering)
    app = Starlette(
        routes=[
            *_composer_routes(Operations(composes, steering, seconds), steering),
            Route("/token", own.post_token, methods=["POST"]),
            Route("/stand-in/behaviour", own.get_behaviour, methods=["GET"]),
            Route("/stand-in/behaviour", own.put_behaviour, methods=["PUT"]),
            Route("/stand-in/behaviour", own.delete_behaviour, methods=["DELETE"]),
            Route("/stand-in/state", own.delete_state, methods=["DELETE"]),
        ],
        exception_handlers={HTTPException: _no_such_route},
    )
    app.router.redirect_slashes = False
    return app


def _composer_routes(operations: Operations, steering: Steering) -> list[Route]:
    handlers: Mapping[tuple[str, str], Handler] = {
        ("POST", "/compose"): operations.post_compose,
        ("GET", "/composes/{id}"): operations.get_compose,
        ("DELETE", "/composes/{id}"): operations.delete_compose,
        ("GET", "/composes/{id}/metadata"): operations.get_metadata,
        ("GET", "/composes/"): operations.get_composes,
        ("GET", "/openapi"): operations.get_openapi,
        ("GET", "/distributions"): operations.get_distributions,
        ("GET", "/distributions/{distribution}"): operations.get_distribution,
        ("POST", "/search/packages"): operations.search_packages,
    }
    return [
        Route(BASE + path, _operation(f"{method} {path}", handler, steering), methods=[method])
        for (method, path), handler in handlers.items()
    ]


def _operation(name: str, handler: Handler, steering: Steering) -> Handler:
    async def endpoint(request: Request) -> Response:
        with steering.call(name, request):
            await steering.wait()
            if steering.closing:
                return await cut_off(request)
            try:
                steering.authorize(request.headers.get("authorization", ""))
                return await handler(request)
            except RefusedError as refused:
                return refused.answer()

    return endpoint


async def _no_such_route(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return RefusedError(status, *UNKNOWN.get(status, (str(status), str(error))), request.url.path).answer()


class OwnRoutes:
    """What the real composer does not have at all, or at another host."""

    def __init__(self, composes: Composes, steering: Steering) -> None:
        self._composes = composes
        self._steering = steering

    async def post_token(self, request: Request) -> Response:
        """An access token for client credentials, as an OAuth2 server gives it."""
        with self._steering.call("POST /token", request):
            return self._token(parse_qs((await request.body()).decode(errors="replace")))

    def _token(self, form: Mapping[str, list[str]]) -> Response:
        status, seconds = self._steering.behaviour.token_status, self._steering.behaviour.token_expires_in
        if status != 200:
            return answer({"error": "temporarily_unavailable"}, status)
        if form.get("grant_type") != ["client_credentials"]:
            return answer({"error": "unsupported_grant_type"}, 400)
        if not (form.get("client_id") and form.get("client_secret")):
            return answer({"error": "invalid_client"}, 401)
        expires_in = int(seconds) if seconds.is_integer() else seconds
        return answer({"access_token": self._steering.issue_token(), "expires_in": expires_in, "token_type": "Bearer"})

    async def get_behaviour(self, _: Request) -> Response:
        """The behaviour in force, and what has been asked so far."""
        return self._shown()

    async def put_behaviour(self, request: Request) -> Response:
        """Change the keys of the behaviour that are given."""
        try:
            changes = orjson.loads(await request.body())
            revoke = isinstance(changes, dict) and changes.pop("revoke_tokens", False) is True
            self._steering.change(self._steering.behaviour.merged(changes))
        except orjson.JSONDecodeError as error:
            return answer({"errors": str(error)}, 400)
        except ValidationError as error:
            return answer({"errors": error.messages}, 400)
        if revoke:
            self._steering.revoke_tokens()
        return self._shown()

    async def delete_behaviour(self, _: Request) -> Response:
        """Behave as usual again."""
        self._steering.change(Behaviour())
        return self._shown()

    async def delete_state(self, _: Request) -> Response:
        """Forget all composes and what has been asked so far."""
        self._composes.clear()
        self._steering.forget()
        return self._shown()

    def _shown(self) -> Response:
        return answer(self._steering.document(self._composes.count()))
