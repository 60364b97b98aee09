"""The ASGI application of a stand-in: the APIs that it imitates, and routes with which tests control it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import orjson
from marshmallow import ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from adapters.embedded.stand_in.answers import answer

Handler = Callable[[Request], Awaitable[Response]]


def create_application(
    routes: Iterable[Route],
    no_such_route: Callable[[Request, HTTPException], Awaitable[Response]],
    *,
    change: Callable[[Any], None],
    reset_behaviour: Callable[[], None],
    clear_state: Callable[[], None],
    describe: Callable[[], Mapping[str, Any]],
) -> Starlette:
    """Create an application with these routes; `no_such_route` answers all other requests.

    It also has GET, PUT and DELETE `/stand-in/behaviour` and DELETE `/stand-in/state`; all answer the document that
    `describe` returns. `change` takes the document of a PUT, with the keys that change, and raises marshmallow's
    ValidationError; `reset_behaviour` resets the behaviour, `clear_state` the state.
    """

    async def put_behaviour(request: Request) -> Response:
        try:
            change(orjson.loads(await request.body()))
        except orjson.JSONDecodeError as error:
            return answer({"errors": str(error)}, 400)
        except ValidationError as error:
            return answer({"errors": error.messages}, 400)
        return answer(describe())

    async def delete_behaviour(_: Request) -> Response:
        reset_behaviour()
        return answer(describe())

    async def delete_state(_: Request) -> Response:
        clear_state()
        return answer(describe())

    async def get_behaviour(_: Request) -> Response:
        return answer(describe())

    async def http_error(request: Request, error: Exception) -> Response:
        # Starlette calls this handler for HTTPException only, but its types do not say so.
        return await no_such_route(request, error if isinstance(error, HTTPException) else HTTPException(500))

    application = Starlette(
        routes=[
            *routes,
            Route("/stand-in/behaviour", get_behaviour, methods=["GET"]),
            Route("/stand-in/behaviour", put_behaviour, methods=["PUT"]),
            Route("/stand-in/behaviour", delete_behaviour, methods=["DELETE"]),
            Route("/stand-in/state", delete_state, methods=["DELETE"]),
        ],
        exception_handlers={HTTPException: http_error},
    )
    application.router.redirect_slashes = False
    return application
