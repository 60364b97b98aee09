"""The routes: the composer's API, a token endpoint beside it, and what the stand-in alone answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from adapters.embedded.composer.answers import BASE, RefusedError, answer
from adapters.embedded.composer.operations import Operations
from adapters.embedded.composer.state import Composes
from adapters.embedded.composer.steering import Steering
from adapters.embedded.own_routes import own_routes
from adapters.embedded.serving import cut_off

Handler = Callable[[Request], Awaitable[Response]]
UNKNOWN: Final = {
    404: ("21", "Requested resource doesn't exist"),
    405: ("22", "Requested method isn't supported"),
}


def build(composes: Composes, steering: Steering, seconds: float) -> Starlette:
    """The application; a build takes that many seconds."""

    def forget() -> None:
        composes.clear()
        steering.forget()

    app = Starlette(
        routes=[
            *_composer_routes(Operations(composes, steering, seconds), steering),
            Route("/token", _token_endpoint(steering), methods=["POST"]),
            *own_routes(
                change=steering.change,
                behave=steering.behave,
                forget=forget,
                shown=lambda: steering.document(composes.count()),
            ),
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
                if raw := steering.behaviour.raw.get(name):
                    return raw.response()
                return await handler(request)
            except RefusedError as refused:
                return refused.answer()

    return endpoint


def _token_endpoint(steering: Steering) -> Handler:
    async def endpoint(request: Request) -> Response:
        with steering.call("POST /token", request):
            return _token(parse_qs((await request.body()).decode(errors="replace")), steering)

    return endpoint


def _token(form: Mapping[str, list[str]], steering: Steering) -> Response:
    """An access token for client credentials, as an OAuth2 server gives it."""
    status, seconds = steering.behaviour.token_status, steering.behaviour.token_expires_in
    if status != 200:
        return answer({"error": "temporarily_unavailable"}, status)
    if form.get("grant_type") != ["client_credentials"]:
        return answer({"error": "unsupported_grant_type"}, 400)
    if not (form.get("client_id") and form.get("client_secret")):
        return answer({"error": "invalid_client"}, 401)
    expires_in = int(seconds) if seconds.is_integer() else seconds
    return answer({"access_token": steering.issue_token(), "expires_in": expires_in, "token_type": "Bearer"})


async def _no_such_route(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return RefusedError(status, *UNKNOWN.get(status, (str(status), str(error))), request.url.path).answer()
