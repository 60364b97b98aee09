"""What a stand-in answers beside the APIs it stands for: it can be told how to behave, and to forget."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson
from marshmallow import ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


def own_routes(
    *,
    change: Callable[[Any], None],
    behave: Callable[[], None],
    forget: Callable[[], None],
    shown: Callable[[], Mapping[str, Any]],
) -> list[Route]:
    """GET, PUT and DELETE `/stand-in/behaviour`, DELETE `/stand-in/state`; each answers what is `shown`.

    `change` takes a document with the keys that change and raises marshmallow's ValidationError, `behave` goes back to
    what is usual, `forget` to the state that there was at the beginning.
    """

    async def put_behaviour(request: Request) -> Response:
        try:
            change(orjson.loads(await request.body()))
        except orjson.JSONDecodeError as error:
            return _answer({"errors": str(error)}, 400)
        except ValidationError as error:
            return _answer({"errors": error.messages}, 400)
        return _answer(shown())

    async def delete_behaviour(_: Request) -> Response:
        behave()
        return _answer(shown())

    async def delete_state(_: Request) -> Response:
        forget()
        return _answer(shown())

    async def get_behaviour(_: Request) -> Response:
        return _answer(shown())

    return [
        Route("/stand-in/behaviour", get_behaviour, methods=["GET"]),
        Route("/stand-in/behaviour", put_behaviour, methods=["PUT"]),
        Route("/stand-in/behaviour", delete_behaviour, methods=["DELETE"]),
        Route("/stand-in/state", delete_state, methods=["DELETE"]),
    ]


def _answer(document: object, status: int = 200) -> Response:
    return Response(orjson.dumps(document, option=orjson.OPT_NON_STR_KEYS), status, media_type="application/json")
