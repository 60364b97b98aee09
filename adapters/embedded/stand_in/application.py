"""The application of a stand-in: the APIs it stands for, and routes by which tests and tools steer it."""

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
    behave: Callable[[], None],
    forget: Callable[[], None],
    shown: Callable[[], Mapping[str, Any]],
) -> Starlette:
    """An application of these routes; `no_such_route` answers requests that fit none.

    It also has GET, PUT and DELETE `/stand-in/behaviour` and DELETE `/stand-in/state`; each answers the document that
    `shown` gives. `change` takes the document of a PUT, which holds the keys that change, and raises marshmallow's
    ValidationError; `behave` resets the behaviour, `forget` the state.
    """

    async def put_behaviour(request: Request) -> Response:
        try:
            change(orjson.loads(await request.body()))
        except orjson.JSONDecodeError as error:
            return answer({"errors": str(error)}, 400)
        except ValidationError as error:
            return answer({"errors": error.messages}, 400)
        return answer(shown())

    async def delete_behaviour(_: Request) -> Response:
        behave()
        return answer(shown())

    async def delete_state(_: Request) -> Response:
        forget()
        return answer(shown())

    async def get_behaviour(_: Request) -> Response:
        return answer(shown())

    async def http_error(request: Request, error: Exception) -> Response:
        # Starlette types its handlers for any error, and calls this one for its own class only.
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
