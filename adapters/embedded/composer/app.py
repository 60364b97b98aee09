"""The routes of the stand-in composer: the composer's API, a token endpoint, and the routes that control it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from adapters.embedded.composer.answers import BASE, RefusedError
from adapters.embedded.composer.operations import Operations
from adapters.embedded.composer.state import Composes
from adapters.embedded.composer.steering import ComposerSteering
from adapters.embedded.stand_in.answers import answer, token_answer
from adapters.embedded.stand_in.application import Handler, create_application
from adapters.embedded.stand_in.serving import cut_off

UNKNOWN: Final = {
    404: ("21", "Requested resource doesn't exist"),
    405: ("22", "Requested method isn't supported"),
}


def build(composes: Composes, steering: ComposerSteering, seconds: float) -> Starlette:
    """Create the application; a build takes `seconds`."""

    def clear_state() -> None:
        composes.clear()
        steering.clear_state()

    return create_application(
        [
            *_composer_routes(Operations(composes, steering, seconds), steering),
            Route("/token", _token_endpoint(steering), methods=["POST"]),
        ],
        _no_such_route,
        change=steering.change,
        reset_behaviour=steering.reset_behaviour,
        clear_state=clear_state,
        describe=lambda: steering.document(composes.count()),
    )


def _composer_routes(operations: Operations, steering: ComposerSteering) -> list[Route]:
    handlers: Mapping[tuple[str, str], Handler] = {
        ("POST", "/compose"): operations.post_compose,
        ("GET", "/composes/{id}"): operations.get_compose,
        ("DELETE", "/composes/{id}"): operations.delete_compose,
        ("GET", "/composes/{id}/metadata"): operations.get_metadata,
        ("GET", "/composes/{id}/logs"): operations.get_logs,
        ("GET", "/composes/{id}/sboms"): operations.get_sboms,
        ("GET", "/composes/"): operations.get_composes,
        ("GET", "/openapi"): operations.get_openapi,
        ("GET", "/distributions"): operations.get_distributions,
        ("GET", "/distributions/{distribution}"): operations.get_distribution,
        ("POST", "/search/packages"): operations.search_packages,
        ("POST", "/depsolve/blueprint"): operations.resolve_packages,
    }
    return [
        Route(BASE + path, _operation(f"{method} {path}", handler, steering), methods=[method])
        for (method, path), handler in handlers.items()
    ]


def _operation(name: str, handler: Handler, steering: ComposerSteering) -> Handler:
    async def endpoint(request: Request) -> Response:
        with steering.calls.record(name, request):
            await steering.wait(request.method)
            if steering.closing:
                return await cut_off(request)
            try:
                steering.authorize(request)
                if raw := steering.behaviour.raw.get(name):
                    return raw.response()
                return await handler(request)
            except RefusedError as refused:
                return refused.answer()

    return endpoint


def _token_endpoint(steering: ComposerSteering) -> Handler:
    async def endpoint(request: Request) -> Response:
        with steering.calls.record("POST /token", request):
            status = steering.behaviour.token_status
            if status != 200:
                return answer({"error": "temporarily_unavailable"}, status)
            return await token_answer(request, steering.tokens, steering.behaviour.token_expires_in)

    return endpoint


async def _no_such_route(request: Request, error: HTTPException) -> Response:
    known = UNKNOWN.get(error.status_code, (str(error.status_code), str(error)))
    return RefusedError(error.status_code, *known, request.url.path).answer()
