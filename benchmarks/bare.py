"""The baseline: bare Flask handlers with orjson, behind the service's own server and bridge.

They run the same queries, call the composer with the same bytes and answer the same, and do nothing else: no routing
by contract, no identity, no validation, no log, no metrics, no errors, no retries.
"""

from __future__ import annotations

import io
import sys
import uuid
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final

import orjson
import requests
import uvicorn
from flask import Flask, Response, request
from psycopg.types.json import Jsonb
from psycopg_pool import ConnectionPool
from requests.adapters import HTTPAdapter
from starlette.types import ASGIApp, Receive, Scope, Send

# The very statements of the service, so that a change of theirs changes both sides.
from adapters.postgres.compose_lists import COUNT, values_of
from adapters.postgres.composes import _PAGE
from adapters.postgres.connection import session_parameters
from adapters.postgres.starts import _RECORD_COMPOSE, _RECORD_FIRST
from benchmarks.payloads import BASE, BUILDER, READER, composer_request
from domain.composes import ComposesQuery
from domain.paging import Page
from image_builder.configuration.settings import Settings, load_settings
from image_builder.http.answers import Answer
from image_builder.http.bridge import Bridge
from image_builder.http.call import CALL, REQUEST_RECORD, Call, Lane, RequestRecord, Route
from image_builder.http.long_poll import StatusChanges
from image_builder.http.memory import Account, RequestMemory

_JSON: Final = "application/json"
_VERSION: Final = "1.0"
_MEMORY: Final = RequestMemory(1024 * 1024 * 1024)


def application(settings: Settings) -> Flask:
    """The three handlers."""
    flask = Flask(__name__, static_folder=None)
    pool = _pool(settings)
    session = _session(settings)
    compose_url = f"{settings.composer.url}/api/image-builder-composer/v2/compose"

    @flask.get(f"{BASE}/version")
    def version() -> Response:
        return _answer({"version": _VERSION})

    @flask.get(f"{BASE}/composes")
    def composes() -> Response:
        limit = int(request.args.get("limit", "100"))
        values = values_of(ComposesQuery(READER, Page(limit, 0)))
        with pool.connection() as connection:
            with connection.pipeline():
                counted = connection.execute(COUNT, values)
                rows = connection.execute(_PAGE, values)
            return _answer(_page(counted.fetchone()[0], rows.fetchall(), limit))

    @flask.post(f"{BASE}/compose")
    def compose() -> Response:
        document = orjson.loads(request.environ[CALL].arguments["body"])
        start = uuid.uuid4()
        with pool.connection() as connection:
            connection.execute(_RECORD_FIRST, _start(start, document))
        answer = session.post(
            compose_url, data=orjson.dumps(composer_request()), headers={"Content-Type": _JSON}, timeout=(3, 25)
        )
        compose_id = orjson.loads(answer.content)["id"]
        with pool.connection() as connection:
            connection.execute(_RECORD_COMPOSE, _row(start, compose_id, document))
        return _answer({"id": compose_id}, 201)

    return flask


class Shim:
    """Hands the bridge a call of the WSGI application, with the body that Flask cannot read behind it."""

    def __init__(self, bridge: ASGIApp, wsgi_app: Callable[..., Iterable[bytes]]) -> None:
        self._bridge = bridge
        handler = partial(run_wsgi, wsgi_app)
        self._direct, self._waiting = Route(handler), Route(handler, Lane.WAITING)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[REQUEST_RECORD] = RequestRecord("", Account(_MEMORY), tenant=BUILDER)
        if scope["method"] == "POST":
            scope[CALL] = Call(self._waiting, {"scope": scope, "body": await _body(receive)})
        else:
            scope[CALL] = Call(self._direct, {"scope": scope})
        await self._bridge(scope, receive, send)


def run_wsgi(app: Callable[..., Iterable[bytes]], scope: Scope, **_: Any) -> Answer:
    """Run a WSGI application (PEP 3333), which gets no headers and no body."""
    started: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], _exc_info: object = None) -> None:
        started.append((status, headers))

    server = scope.get("server") or ("localhost", 80)
    environment = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": scope["path"],
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1]),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        CALL: scope[CALL],
    }
    body = b"".join(app(environment, start_response))
    status, headers = started[-1]
    return Answer(body, int(status[:3]), {name: value for name, value in headers if name != "Content-Length"})


async def _body(receive: Receive) -> bytes:
    chunks, more = [], True
    while more:
        message = await receive()
        chunks.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(chunks)


def _page(count: int, rows: list[tuple[Any, ...]], limit: int) -> dict[str, Any]:
    path = "/api/image-builder/v1.0/composes"
    return {
        "meta": {"count": count},
        "links": {
            "first": f"{path}?limit={limit}&offset=0",
            "last": f"{path}?limit={limit}&offset={(count - 1) // limit * limit}",
        },
        "data": [
            {
                "id": str(job_id),
                "request": orjson.Fragment(stored),
                "created_at": created_at.isoformat(timespec="seconds") + "Z",
                "image_name": image_name,
                "client_id": client_id,
            }
            for job_id, stored, created_at, image_name, client_id, *_ in rows
        ],
    }


def _start(start: uuid.UUID, document: Any) -> dict[str, Any]:
    return {
        "tenant": BUILDER,
        "key": None,
        "number": 1,
        "start": start,
        "fingerprint": b"",
        "compose": Jsonb({"request": document}, dumps=orjson.dumps),
        "version": None,
        "position": 1,
    }


def _row(start: uuid.UUID, compose_id: str, document: dict[str, Any]) -> dict[str, Any]:
    return {
        "start": start,
        "compose": uuid.UUID(compose_id),
        "request": Jsonb(document, dumps=orjson.dumps),
        "account_number": "7",
        "tenant": BUILDER,
        "email": "u@example.com",
        "image_name": document["image_name"],
        "client_id": document["client_id"],
        "blueprint_version": None,
        "rerun_of": None,
        "created_by": "u",
        "labels": None,
    }


def _answer(document: object, status: int = 200) -> Response:
    return Response(orjson.dumps(document), status, content_type=_JSON)


def _pool(settings: Settings) -> ConnectionPool:
    return ConnectionPool(
        kwargs={**session_parameters(settings.database.parameters), "autocommit": True},
        min_size=2,
        max_size=settings.serving.pool_size,
        open=True,
    )


def _session(settings: Settings) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.mount("http://", HTTPAdapter(pool_connections=1, pool_maxsize=settings.serving.waiting_threads))
    return session


def main() -> None:
    """Serve at LISTEN_ADDRESS, set up as `image-builder serve` sets up its server."""
    settings = load_settings()
    composer_request()
    threads = {Lane.DIRECT: settings.serving.direct_threads, Lane.WAITING: settings.serving.waiting_threads}
    uvicorn.run(
        Shim(Bridge(threads, StatusChanges(lambda _: {})), application(settings).wsgi_app),
        host=settings.serving.host,
        port=settings.serving.port,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
    )


if __name__ == "__main__":
    main()
