"""The middleware between Connexion's routing and the handlers: identity, rate limit, parameters, body, in this order.

Everything that can be refused is refused here, on the event loop, before a thread is taken.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any, Final, TypeVar

import orjson
from connexion.middleware.abstract import ROUTING_CONTEXT, RoutedAPI, RoutedMiddleware
from connexion.operations.abstract import AbstractOperation
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from domain.errors import InvalidRequestError
from image_builder.http.auth import Authenticate
from image_builder.http.call import ANNOUNCED, CALL, CONNECTION, REQUEST_RECORD, Call, Route
from image_builder.http.contract import TOML, Body, Contract, Operation
from image_builder.http.errors import HttpError
from image_builder.http.lanes import FairLane
from image_builder.http.limiter import Limiter, budget_of
from image_builder.http.memory import Account, RequestMemory
from image_builder.http.nodes import MOST_VALUES, count_toml_values, count_values
from image_builder.http.parameters import parse_query
from image_builder.http.schemas import refuse_nul
from image_builder.http.toml import add_query, create_request_from_toml
from image_builder.telemetry import logs

T = TypeVar("T")

_JSON: Final = "application/json"
# Characters of an Accept header; browsers send 200. Those of a whole head would take the event loop 80 ms.
_LONGEST_ACCEPT: Final = 2_000
# A client that sends its body drop by drop does not hold a connection for ever.
_SECONDS_FOR_A_BODY: Final = 60.0
# Above this the parsing of a body would be felt by the other requests of the event loop.
_LARGE: Final = 32 * 1024
# TOML takes a hundred times as long.
_LARGE_TOML: Final = 2 * 1024
# How often the text of a body is held at once, besides the document: as it came, and written for the composer and the
# database with the copies of their libraries (measured by benchmarks.hostile).
_COPIES: Final = 3
# Of a body that does not say its length so many bytes are counted at first.
_UNCOUNTED: Final = 16 * 1024
# UTF-8 of a character beyond the first 65,536 begins with one of these bytes.
_FOUR_BYTES: Final = range(0xF0, 0xF5)
# Bodies that cost more memory than this are not taken in without what is needed besides.
_LARGE_COST: Final = 128 * 1024
# Checking this many values would delay the other requests of the event loop, too.
_MANY: Final = 2_000
# Large bodies are parsed apart from everything else that needs threads. Two threads, one for an organization: they
# compete with the event loop for the interpreter.
_PARSERS: Final = FairLane("parse", 2, most_waiting=400)
# Threads that look up the size of a stored document that a large body replaces; others need not wait for that.
_LOOKUPS: Final = ThreadPoolExecutor(2, thread_name_prefix="stored-size")
# What a value takes besides its text: in the document as it is parsed, completed, and turned into a back-end's.
_BYTES_OF_A_VALUE: Final = 200


class CheckedOperation:
    """An operation of the contract as the middleware calls it."""

    def __init__(
        self,
        operation: Operation,
        route: Route,
        authenticate: Authenticate,
        limiter: Limiter,
        largest_body: int,
        arriving: RequestMemory,
    ) -> None:
        self._operation = operation
        self._route = route
        self._authenticate = authenticate
        self._limiter = limiter
        self._budget = budget_of(operation.method, operation.path)
        self._largest_body = largest_body
        self._arriving = arriving

    async def read(self, scope: Scope, receive: Receive) -> Call:
        """The call that the request asks for. Raises the refusals of the contract."""
        operation, record = self._operation, scope[REQUEST_RECORD]
        record.operation, record.template = operation.id, operation.path
        logs.bind(operation_id=operation.id)
        arguments: dict[str, Any] = {}
        if operation.needs_identity:
            identity = self._authenticate(scope["headers"])
            scope[CONNECTION].identified()
            record.tenant = record.memory.tenant = identity.tenant
            logs.bind(org_id=identity.tenant)
            await self._limiter.admit(record, identity.tenant, self._budget)
            arguments["identity"] = identity
        self._read_parameters(scope, arguments)
        if operation.produces:
            arguments["media_type"] = _chosen(operation.produces, Headers(scope=scope))
        if operation.body is not None:
            reader = _BodyReader(
                operation.body,
                Headers(scope=scope),
                self._largest_body,
                self._arriving,
                record.memory,
                self._route.extra_memory,
            )
            arguments["body"] = await reader.read(receive, arguments)
        return Call(self._route, arguments)

    def _read_parameters(self, scope: Scope, arguments: dict[str, Any]) -> None:
        for parameter in self._operation.path_parameters:
            arguments[parameter.argument] = parameter.parse([scope["path_params"][parameter.name]])
        if self._operation.query_parameters:
            texts = parse_query(scope["query_string"])
            for parameter in self._operation.query_parameters:
                arguments[parameter.argument] = parameter.parse(texts.get(parameter.name, []))
        for parameter in self._operation.header_parameters:
            values = Headers(scope=scope).getlist(parameter.name)
            # Several lines of one header are one list (RFC 9110, section 5.3).
            arguments[parameter.argument] = parameter.parse([", ".join(values)] if values else [])


class _BodyReader:
    """Reads the body of one request: its length and media type first, then its bytes, values and fields."""

    def __init__(
        self,
        body: Body,
        headers: Headers,
        largest: int,
        arriving: RequestMemory,
        memory: Account,
        extra_memory: Callable[..., int | None] | None,
    ) -> None:
        """`arriving` is the memory of all bodies that are not whole, `memory` what this request may hold afterwards.

        `extra_memory` is that of the Route.
        """
        self._body = body
        self._headers = headers
        self._largest = largest
        self._arriving = arriving
        self._memory = memory
        self._extra_memory = extra_memory

    async def read(self, receive: Receive, arguments: Mapping[str, Any]) -> Any:
        """The document, checked and completed. Raises the refusals of the contract."""
        length = int(self._headers.get("content-length", "0"))
        if length > self._largest:
            raise _too_large(self._largest)
        if length:
            _media_type(self._headers, self._body)  # before the body arrives, which may take long
        arriving = Account(self._arriving, self._memory.tenant)
        try:
            raw = await self._received(receive, length, arriving)
            if not raw and not self._body.required:
                return self._body.accept({})
            toml = _media_type(self._headers, self._body) == TOML
            count = count_toml_values if toml else count_values
            values = await self._run(len(raw) > (_LARGE_TOML if toml else _LARGE), count, raw)
            cost = _cost_of_text(raw) + _cost_of_values(values)
            # At once: requests that hold a part each would wait for each other's.
            await self._memory.reserve_soon(cost, later=await self._cost_besides(cost, arguments))
        finally:
            arriving.close()
        parse = self._parser(arguments, toml=toml)
        document = partial(_document, parse, body=self._body)
        return await self._run(values > _MANY or len(raw) > (_LARGE_TOML if toml else _LARGE), document, raw)

    def _parser(self, arguments: Mapping[str, Any], *, toml: bool) -> Callable[[bytes], Any]:
        if toml:
            return partial(_toml_document, arguments=arguments, distributions=self._body.distributions)
        return partial(_json_blueprint, arguments=arguments) if self._body.toml else _json_document

    async def _cost_besides(self, cost: int, arguments: Mapping[str, Any]) -> int:
        """What the handler needs besides a body of this cost. Raises UnavailableError when the database is away."""
        if self._extra_memory is None or cost <= _LARGE_COST:
            return 0
        lookup = partial(copy_context().run, partial(self._extra_memory, **arguments))
        stored = await asyncio.get_running_loop().run_in_executor(_LOOKUPS, lookup)
        # A request that is served meanwhile may store a document as large as this one.
        return 0 if stored is None else max(stored, cost)

    async def _run(self, large: bool, work: Callable[[bytes], T], raw: bytes) -> T:
        """What the work makes of a body: here where that takes a moment only, else on a thread."""
        return await _PARSERS.run(self._memory.tenant, partial(work, raw)) if large else work(raw)

    async def _received(self, receive: Receive, length: int, arriving: Account) -> bytes:
        """The body; nothing waits for memory while it holds some that another may wait for.

        Of a body without a length the first bytes are counted as they come, the rest as if it were the largest.
        """
        await arriving.reserve_soon(length or _UNCOUNTED)
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(_SECONDS_FOR_A_BODY):
                while True:
                    message: Message = await receive()
                    if message["type"] == "http.disconnect":
                        raise HttpError(400, "The body ended early, or is not framed as HTTP/1.1 wants it")
                    chunk = message.get("body", b"")
                    size += len(chunk)
                    if max(size, message.get(ANNOUNCED, 0)) > self._largest:
                        raise _too_large(self._largest)
                    if size > arriving.size:
                        await arriving.reserve_soon(self._largest - arriving.size)
                    chunks.append(chunk)
                    if not message.get("more_body", False):
                        return b"".join(chunks)
        except TimeoutError:
            raise HttpError(408, "The body did not arrive in time") from None


class CheckedAPI(RoutedAPI[CheckedOperation]):
    """The contract's operations under one base path."""

    def __init__(
        self,
        specification: Any,
        *args: Any,
        contract: Contract,
        routes: Mapping[str, Route],
        authenticate: Authenticate,
        limiter: Limiter,
        largest_body: int,
        arriving: RequestMemory,
        **kwargs: Any,
    ) -> None:
        super().__init__(specification, *args, **kwargs)
        self._contract = contract
        self._routes = routes
        self._authenticate = authenticate
        self._limiter = limiter
        self._largest_body = largest_body
        self._arriving = arriving
        self.add_paths()

    def make_operation(self, operation: AbstractOperation) -> CheckedOperation:
        """The operation of this id, with its route."""
        name = operation.operation_id
        return CheckedOperation(
            self._contract.operations[name],
            self._routes[name],
            self._authenticate,
            self._limiter,
            self._largest_body,
            self._arriving,
        )


class ContractMiddleware(RoutedMiddleware[CheckedAPI]):
    """Hands each request that fits the contract on as a Call; `settings` are CheckedAPI's arguments."""

    api_cls = CheckedAPI

    def __init__(self, app: ASGIApp, settings: Mapping[str, Any]) -> None:
        super().__init__(app)
        self._settings = settings

    def add_api(self, specification: Any, **kwargs: Any) -> CheckedAPI:
        """Connexion's way of telling a middleware about a specification."""
        return super().add_api(specification, **kwargs, **self._settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check the request, or raise 404 where no operation was found for it."""
        found = scope["extensions"][ROUTING_CONTEXT]
        if found["operation_id"] is None:
            raise HTTPException(404)
        (api,) = self.apis[found["api_base_path"]]
        scope[CALL] = await api.operations[found["operation_id"]].read(scope, receive)
        await self.app(scope, receive, send)


def _cost_of_text(raw: bytes) -> int:
    """Bytes that a body's text costs until its request has ended: as it came, parsed, and for database and back-end."""
    # One character makes Python keep two or four bytes for each of its text.
    width = 1 if raw.isascii() else 4 if any(lead in raw for lead in _FOUR_BYTES) else 2
    return len(raw) * (_COPIES + width)


def _cost_of_values(values: int) -> int:
    """Bytes that a body's values cost besides its text. Raises InvalidRequestError when there are too many."""
    if values > MOST_VALUES:
        raise InvalidRequestError(f"The body holds more than {MOST_VALUES} values")
    return values * _BYTES_OF_A_VALUE


def _document(parse: Callable[[bytes], Any], raw: bytes, body: Body) -> Any:
    return body.accept(parse(raw))


def _json_document(raw: bytes) -> Any:
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise InvalidRequestError(f"The body is not JSON: {error.msg}") from None
    if b"\\u0000" in raw:
        refuse_nul(document)
    return document


def _json_blueprint(raw: bytes, arguments: Mapping[str, Any]) -> Any:
    return add_query(_json_document(raw), arguments)


def _toml_document(raw: bytes, arguments: Mapping[str, Any], distributions: frozenset[str]) -> Any:
    try:
        text = raw.decode("utf-8-sig")  # editors of some systems begin a file with a mark
    except UnicodeDecodeError:
        raise InvalidRequestError("The body is not TOML: it is not UTF-8") from None
    try:
        # TOML has numbers and texts that no JSON can hold.
        document = orjson.loads(orjson.dumps(create_request_from_toml(text, arguments, distributions)))
    except TypeError as error:
        raise InvalidRequestError(f"The blueprint cannot be kept as JSON: {error}") from None
    refuse_nul(document)
    return document


def _chosen(media_types: tuple[str, ...], headers: Headers) -> str:
    wanted = ", ".join(headers.getlist("accept"))
    if len(wanted) > _LONGEST_ACCEPT:  # a server may disregard the header (RFC 9110, section 12.5.1)
        return media_types[0]
    accept = parse_accept_header(wanted, MIMEAccept)
    return accept.best_match(media_types, media_types[0])


def _media_type(headers: Headers, body: Body) -> str:
    known = {_JSON, TOML} if body.toml else {_JSON}
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise HttpError(415, "The body must not be compressed")
    media_type, _, parameters = headers.get("content-type", "").partition(";")
    media_type = media_type.strip().lower()
    if media_type not in known:
        raise HttpError(415, f"The body must be {' or '.join(sorted(known))}")
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset" and value.strip().strip('"').lower() not in {"utf-8", "utf8"}:
            raise HttpError(415, f"The body must be {media_type} in UTF-8")
    return media_type


def _too_large(limit: int) -> HttpError:
    return HttpError(413, f"The body is larger than {limit} bytes")
