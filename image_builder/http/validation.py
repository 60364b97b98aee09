"""The middleware between Connexion's routing and the handlers.

It checks a request's identity, rate limit, parameters and body, in this order, and refuses an invalid request before it
takes a thread of the handlers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextvars import copy_context
from functools import partial
from typing import Any, Final, TypeVar

import orjson
from connexion.middleware.abstract import ROUTING_CONTEXT, RoutedAPI, RoutedMiddleware
from connexion.operations.abstract import AbstractOperation
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from domain.errors import InvalidRequestError
from image_builder.http.auth import Authenticate
from image_builder.http.call import CALL, CONNECTION, KNOWN_BODY_BYTES, REQUEST_RECORD, Call, Route
from image_builder.http.contract import TOML, Body, Contract, Operation
from image_builder.http.errors import HttpError
from image_builder.http.lanes import FairLane
from image_builder.http.limiter import Limiter, choose_budget
from image_builder.http.memory import Account, RequestMemory
from image_builder.http.parameters import parse_all, parse_query
from image_builder.http.repeated_keys import refuse_repeated_keys
from image_builder.http.schemas import refuse_nul
from image_builder.http.toml import add_query, create_request_from_toml
from image_builder.http.value_count import MAX_VALUES, count_toml_values, count_values
from image_builder.telemetry import logs
from image_builder.thread_pool import ThreadPool

T = TypeVar("T")
# The headers of a request in the form of ASGI scopes: names in lower case, and values.
RawHeaders = Iterable[tuple[bytes, bytes]]

_JSON: Final = "application/json"
# Characters of an Accept header. Browsers send 200; one as long as a whole head would block the event loop for 80 ms.
_MAX_ACCEPT_LENGTH: Final = 2_000
# Seconds for a body to arrive, so that a slow client does not hold a connection for ever.
_BODY_TIMEOUT: Final = 60.0
# Bytes of a JSON body: a larger one is parsed on a thread, because that would delay other requests on the event loop.
_MAX_JSON_ON_LOOP: Final = 32 * 1024
# Bytes of a TOML body: the same; it takes a hundred times as long.
_MAX_TOML_ON_LOOP: Final = 2 * 1024
# Copies of a body's text that are in memory at the same time besides the parsed document: the body itself, and two that
# are encoded from it for the composer and for the database (measured by benchmarks.hostile).
_TEXT_COPIES: Final = 3
# Bytes that are reserved at first for a body without a Content-Length.
_FIRST_RESERVATION: Final = 16 * 1024
# The first bytes in UTF-8 of characters from U+10000, for which Python uses four bytes each.
_LEADS_OF_WIDE_CHARACTERS: Final = range(0xF0, 0xF5)
# Bytes of memory: a body that takes more reserves, in the same step, the memory that its handler will need.
_MIN_COST_WITH_EXTRA: Final = 128 * 1024
# Values: a body with more of them is checked on a thread, because that would delay the event loop.
_MAX_VALUES_ON_LOOP: Final = 2_000
# The threads that parse and check large bodies: only two, of which an organization gets one, because they compete with
# the event loop for Python's global interpreter lock.
_PARSERS: Final = FairLane("parse", 2, max_waiting=400)
# The threads that look up the size of the stored document that a large body replaces, so that no other work waits.
_LOOKUPS: Final = ThreadPool(2, "stored-size")
# Bytes of memory for a value besides its text: it is parsed, gets defaults, and is converted for a back-end.
_BYTES_PER_VALUE: Final = 200


class CheckedOperation:
    """An operation of openapi.yaml whose requests the middleware checks."""

    def __init__(
        self,
        operation: Operation,
        route: Route,
        authenticate: Authenticate,
        limiter: Limiter,
        max_body_bytes: int,
        incoming_bodies: RequestMemory,
    ) -> None:
        self._operation = operation
        self._route = route
        self._authenticate = authenticate
        self._limiter = limiter
        self._budget = choose_budget(operation.method, operation.path)
        self._max_body_bytes = max_body_bytes
        self._incoming_bodies = incoming_bodies
        self._header_names = {each.name.lower().encode(): each.name for each in operation.header_parameters}

    async def read(self, scope: Scope, receive: Receive) -> Call:
        """Check a request, and return the call of its handler. Raises the errors that openapi.yaml describes."""
        operation, record = self._operation, scope[REQUEST_RECORD]
        record.operation, record.template = operation.id, operation.path
        logs.bind(operation_id=operation.id)
        arguments: dict[str, Any] = {}
        if operation.needs_identity:
            identity = self._authenticate(scope["headers"])
            scope[CONNECTION].mark_identified()
            record.tenant = record.memory.tenant = identity.tenant
            logs.bind(org_id=identity.tenant)
            await self._limiter.admit(record, identity.tenant, self._budget)
            arguments["identity"] = identity
        self._read_parameters(scope, arguments)
        if operation.produces:
            arguments["media_type"] = _choose_media_type(operation.produces, scope["headers"])
        if operation.body is not None:
            reader = _BodyReader(
                operation.body,
                scope["headers"],
                self._max_body_bytes,
                self._incoming_bodies,
                record.memory,
                self._route.extra_memory,
                validates_body=self._route.validates_body,
            )
            arguments["body"] = await reader.read(receive, arguments)
        return Call(self._route, arguments)

    def _read_parameters(self, scope: Scope, arguments: dict[str, Any]) -> None:
        for parameter in self._operation.path_parameters:
            arguments[parameter.argument] = parameter.parse([scope["path_params"][parameter.name]])
        if self._operation.query_parameters:
            texts = parse_query(scope["query_string"])
            arguments.update(parse_all(self._operation.query_parameters, texts))
        if self._operation.header_parameters:
            arguments.update(parse_all(self._operation.header_parameters, self._read_headers(scope["headers"])))

    def _read_headers(self, headers: RawHeaders) -> dict[str, list[str]]:
        """Return the texts of the header parameters that the request has, by the names of the parameters."""
        texts: dict[str, list[str]] = {}
        for name, value in headers:
            parameter = self._header_names.get(name)
            if parameter is not None:
                # Several header lines of one name form one list (RFC 9110, section 5.3).
                before = texts.get(parameter)
                text = value.decode("latin-1")
                texts[parameter] = [text if before is None else f"{before[0]}, {text}"]
        return texts


class _BodyReader:
    """Reads the body of one request: checks length and media type, receives it, counts its values, and checks these."""

    def __init__(
        self,
        body: Body,
        headers: RawHeaders,
        max_bytes: int,
        incoming_bodies: RequestMemory,
        memory: Account,
        extra_memory: Callable[..., int | None] | None,
        *,
        validates_body: bool,
    ) -> None:
        """`max_bytes` limits the body; `extra_memory` and `validates_body` are those of the Route.

        `incoming_bodies` is the memory of all incomplete bodies, `memory` the account of this request for its complete
        body.
        """
        self._body = body
        self._headers = headers
        self._max_bytes = max_bytes
        self._incoming_bodies = incoming_bodies
        self._memory = memory
        self._extra_memory = extra_memory
        self._accept = _accept_object if validates_body else body.accept

    async def read(self, receive: Receive, arguments: Mapping[str, Any]) -> Any:
        """Return the valid document, with defaults added. Raises the errors that openapi.yaml describes."""
        length = int(_get(self._headers, b"content-length", "0"))
        if length > self._max_bytes:
            raise _too_large(self._max_bytes)
        # Before the body arrives, which may take long. A request without a body needs no media type.
        media_type = _check_media_type(self._headers, self._body) if length else None
        incoming_account = Account(self._incoming_bodies, self._memory.tenant)
        try:
            raw = await self._receive_body(receive, length, incoming_account)
            if not raw and not self._body.required:
                return self._accept({})
            toml = (media_type or _check_media_type(self._headers, self._body)) == TOML
            count = count_toml_values if toml else count_values
            values = await self._run(len(raw) > (_MAX_TOML_ON_LOOP if toml else _MAX_JSON_ON_LOOP), count, raw)
            cost = _cost_of_text(raw) + _cost_of_values(values)
            # One reservation for all memory: requests that hold a part each would wait for each other.
            await self._memory.reserve_async(cost, later=await self._find_extra_cost(cost, arguments))
        finally:
            incoming_account.close()
        parse = self._choose_parser(arguments, toml=toml)
        check = partial(_parse_and_check, parse, has_labels=self._body.has_labels, accept=self._accept)
        return await self._run(
            values > _MAX_VALUES_ON_LOOP or len(raw) > (_MAX_TOML_ON_LOOP if toml else _MAX_JSON_ON_LOOP), check, raw
        )

    def _choose_parser(self, arguments: Mapping[str, Any], *, toml: bool) -> Callable[[bytes], Any]:
        if toml:
            return partial(_parse_toml, arguments=arguments, distributions=self._body.distributions)
        return partial(_parse_json_blueprint, arguments=arguments) if self._body.toml else _parse_json

    async def _find_extra_cost(self, cost: int, arguments: Mapping[str, Any]) -> int:
        """Return the bytes that the handler needs besides `cost`, those of the body.

        Raises UnavailableError if the database is unavailable.
        """
        if self._extra_memory is None or cost <= _MIN_COST_WITH_EXTRA:
            return 0
        lookup = partial(copy_context().run, partial(self._extra_memory, **arguments))
        stored = await asyncio.get_running_loop().run_in_executor(_LOOKUPS, lookup)
        # Another request may store a document as large as this one in the meantime.
        return 0 if stored is None else max(stored, cost)

    async def _run(self, large: bool, work: Callable[[bytes], T], raw: bytes) -> T:
        """Return the result of `work` on a body; a large body is processed on a thread, others on the event loop."""
        return await _PARSERS.run(self._memory.tenant, partial(work, raw)) if large else work(raw)

    async def _receive_body(self, receive: Receive, length: int, incoming_account: Account) -> bytes:
        """Receive and return the body; `length` is its Content-Length, or 0.

        A body without a Content-Length reserves a small amount at first; if it is larger, as much as a body may have.
        """
        await incoming_account.reserve_async(length or _FIRST_RESERVATION)
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(_BODY_TIMEOUT):
                while True:
                    message: Message = await receive()
                    if message["type"] == "http.disconnect":
                        raise HttpError(400, "The body ended early, or is not framed as HTTP/1.1 wants it")
                    chunk = message.get("body", b"")
                    size += len(chunk)
                    if max(size, message.get(KNOWN_BODY_BYTES, 0)) > self._max_bytes:
                        raise _too_large(self._max_bytes)
                    if size > incoming_account.size:
                        await incoming_account.reserve_async(self._max_bytes - incoming_account.size)
                    chunks.append(chunk)
                    if not message.get("more_body", False):
                        return b"".join(chunks)
        except TimeoutError:
            raise HttpError(408, "The body did not arrive in time") from None


class CheckedAPI(RoutedAPI[CheckedOperation]):
    """The operations of openapi.yaml under one base path."""

    def __init__(
        self,
        specification: Any,
        *args: Any,
        contract: Contract,
        routes: Mapping[str, Route],
        authenticate: Authenticate,
        limiter: Limiter,
        max_body_bytes: int,
        incoming_bodies: RequestMemory,
        **kwargs: Any,
    ) -> None:
        super().__init__(specification, *args, **kwargs)
        self._contract = contract
        self._routes = routes
        self._authenticate = authenticate
        self._limiter = limiter
        self._max_body_bytes = max_body_bytes
        self._incoming_bodies = incoming_bodies
        self.add_paths()

    def make_operation(self, operation: AbstractOperation) -> CheckedOperation:
        """Create the CheckedOperation of one of Connexion's operations."""
        name = operation.operation_id
        return CheckedOperation(
            self._contract.operations[name],
            self._routes[name],
            self._authenticate,
            self._limiter,
            self._max_body_bytes,
            self._incoming_bodies,
        )


class ContractMiddleware(RoutedMiddleware[CheckedAPI]):
    """Checks each request by openapi.yaml, and passes it on as a Call; `settings` are CheckedAPI's own arguments."""

    api_cls = CheckedAPI

    def __init__(self, app: ASGIApp, settings: Mapping[str, Any]) -> None:
        super().__init__(app)
        self._settings = settings

    def add_api(self, specification: Any, **kwargs: Any) -> CheckedAPI:
        """Add the operations of a specification; Connexion calls this for each base path."""
        return super().add_api(specification, **kwargs, **self._settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check the request, and pass it on with its Call. Raises the errors of `CheckedOperation.read`."""
        routing = scope["extensions"][ROUTING_CONTEXT]
        (api,) = self.apis[routing["api_base_path"]]
        scope[CALL] = await api.operations[routing["operation_id"]].read(scope, receive)
        await self.app(scope, receive, send)


def _cost_of_text(raw: bytes) -> int:
    """Return the bytes that the text of a body takes: raw, parsed, and encoded for the database and a back-end."""
    # A single wide character makes Python use two or four bytes for every character of its text.
    width = 1 if raw.isascii() else 4 if any(lead in raw for lead in _LEADS_OF_WIDE_CHARACTERS) else 2
    return len(raw) * (_TEXT_COPIES + width)


def _cost_of_values(values: int) -> int:
    """Return the bytes that a body's values take besides its text. Raises InvalidRequestError for too many values."""
    if values > MAX_VALUES:
        raise InvalidRequestError(f"The body holds more than {MAX_VALUES} values")
    return values * _BYTES_PER_VALUE


def _accept_object(document: Any) -> Any:
    """Return a JSON object unchanged. Raises InvalidRequestError for another value."""
    if not isinstance(document, dict):
        raise InvalidRequestError("body: expected a JSON object")
    return document


def _parse_and_check(parse: Callable[[bytes], Any], raw: bytes, has_labels: bool, accept: Callable[[Any], Any]) -> Any:
    document = parse(raw)
    if has_labels and isinstance(document, dict) and "labels" in document:
        refuse_repeated_keys(raw, "labels")
    return accept(document)


def _parse_json(raw: bytes) -> Any:
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise InvalidRequestError(f"The body is not JSON: {error.msg}") from None
    if b"\\u0000" in raw:
        refuse_nul(document)
    return document


def _parse_json_blueprint(raw: bytes, arguments: Mapping[str, Any]) -> Any:
    return add_query(_parse_json(raw), arguments)


def _parse_toml(raw: bytes, arguments: Mapping[str, Any], distributions: frozenset[str]) -> Any:
    try:
        text = raw.decode("utf-8-sig")  # some editors write a byte order mark
    except UnicodeDecodeError:
        raise InvalidRequestError("The body is not TOML: it is not UTF-8") from None
    try:
        # TOML has values that JSON cannot express: to encode them raises TypeError.
        document = orjson.loads(orjson.dumps(create_request_from_toml(text, arguments, distributions)))
    except TypeError as error:
        raise InvalidRequestError(f"The blueprint cannot be kept as JSON: {error}") from None
    refuse_nul(document)
    return document


def _get(headers: RawHeaders, name: bytes, default: str) -> str:
    """Return the value of the first header of a name, which must be in lower case."""
    return next((value.decode("latin-1") for each, value in headers if each == name), default)


def _choose_media_type(media_types: tuple[str, ...], headers: RawHeaders) -> str:
    header = ", ".join(value.decode("latin-1") for name, value in headers if name == b"accept")
    if len(header) > _MAX_ACCEPT_LENGTH:  # a server may disregard the header (RFC 9110, section 12.5.1)
        return media_types[0]
    accept = parse_accept_header(header, MIMEAccept)
    return accept.best_match(media_types, media_types[0])


def _check_media_type(headers: RawHeaders, body: Body) -> str:
    """Return the media type of the body. Raises HttpError (415) for one that the operation does not support."""
    supported = {_JSON, TOML} if body.toml else {_JSON}
    if _get(headers, b"content-encoding", "identity").lower() != "identity":
        raise HttpError(415, "The body must not be compressed")
    media_type, _, parameters = _get(headers, b"content-type", "").partition(";")
    media_type = media_type.strip().lower()
    if media_type not in supported:
        raise HttpError(415, f"The body must be {' or '.join(sorted(supported))}")
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset" and value.strip().strip('"').lower() not in {"utf-8", "utf8"}:
            raise HttpError(415, f"The body must be {media_type} in UTF-8")
    return media_type


def _too_large(limit: int) -> HttpError:
    return HttpError(413, f"The body is larger than {limit} bytes")
