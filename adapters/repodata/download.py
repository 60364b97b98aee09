"""Downloads within bounds: of size, of silence, and of time as a whole."""

from __future__ import annotations

import http.client
import io
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import SplitResult, urljoin, urlsplit

import requests
import urllib3

from adapters.http.bounded import RedirectsToCaller
from adapters.http.watchdog import Watch, WatchedAdapter
from adapters.repodata.errors import content_error, permanent_error
from domain.errors import ConfigurationError, UnavailableError

_CONNECT: Final = 10.0
_SILENCE: Final = 30.0  # seconds between two pieces of an answer
_PIECE: Final = 64 * 1024
_MOST_REDIRECTS: Final = 5
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_PORTS: Final = {"http": 80, "https": 443}
_LARGEST_DOCUMENT: Final = 4 * 1024 * 1024
_PASSING: Final = frozenset({404, 408, 429})
"""Beside 5xx; a file may be gone because the repository is just changing."""
# The first that fits: urllib3 has a connection that nobody takes be a timeout, too.
_WORDS: Final[dict[type[BaseException], str]] = {
    urllib3.exceptions.IncompleteRead: "cut off before its end",
    http.client.IncompleteRead: "cut off before its end",
    urllib3.exceptions.NameResolutionError: "its host is not known",
    urllib3.exceptions.NewConnectionError: "cannot connect",
    urllib3.exceptions.TimeoutError: "no answer in time",
    TimeoutError: "no answer in time",
}


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """What Red Hat's own repositories want: files in PEM.

    `key` may be in the certificate's file, `ca` holds the only authorities trusted then; None trusts the usual ones.
    """

    certificate: Path
    key: Path | None = None
    ca: Path | None = None

    def check(self) -> None:
        """Raises `ConfigurationError` when the files are of no use."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            # A key with a passphrase would ask for it on the terminal.
            context.load_cert_chain(self.certificate, self.key, password="")
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"{self.key or self.certificate}: no usable client certificate: {error}") from None
        if self.ca is not None:
            try:
                context.load_verify_locations(self.ca)
            except OSError as error:
                raise ConfigurationError(f"{self.ca}: no usable certificates of authorities: {error}") from None


class Downloads:
    """Runs as a context manager; for one thread. Proxies are taken from the environment."""

    def __init__(self, certificate: ClientCertificate | None = None) -> None:
        self._session = RedirectsToCaller()
        # What is compressed is checked and opened by us.
        self._session.headers.update({"User-Agent": "image-builder", "Accept-Encoding": "identity"})
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, WatchedAdapter())
        self._verify: str | None = None
        if certificate is not None:
            self._session.cert = (str(certificate.certificate), str(certificate.key or certificate.certificate))
            self._verify = str(certificate.ca) if certificate.ca else None

    def __enter__(self) -> Downloads:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def document(self, address: str, what: str, deadline: float) -> bytes:
        """A small document; raises as `into` does."""
        content = io.BytesIO()
        self.into(content, address, what, _LARGEST_DOCUMENT, deadline, lambda _: None)
        return content.getvalue()

    def into(
        self,
        file: BinaryIO,
        address: str,
        what: str,
        largest: int,
        deadline: float,
        take: Callable[[bytes], None],
    ) -> None:
        """Write what the address serves into the file, and have `take` see each piece.

        `deadline` is of `time.monotonic()`. Raises `UnavailableError` saying how `what` could not be had: nothing
        there, more than `largest` bytes, not whole, too late.
        """
        left = deadline - time.monotonic()
        if left <= 0:
            raise permanent_error(f"{what}: timed out")
        with Watch(deadline) as watch:
            try:
                self._copy(file, address, what, largest, left, take)
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
                reason = "timed out" if watch.expired else _reason(error)
                raise content_error(f"{what}: {reason}") from error
        if watch.expired:  # what lasts until the connection ends looks whole
            raise content_error(f"{what}: timed out")

    def _copy(
        self, file: BinaryIO, address: str, what: str, largest: int, left: float, take: Callable[[bytes], None]
    ) -> None:
        with self._answer(address, what, (min(_CONNECT, left), min(_SILENCE, left))) as response:
            if response.status_code != 200:
                raise _status(what, response.status_code)
            size = 0
            for piece in response.raw.stream(_PIECE, decode_content=False):
                size += len(piece)
                if size > largest:
                    raise content_error(f"{what}: larger than {largest} bytes")
                take(piece)
                file.write(piece)

    def _answer(self, address: str, what: str, timeout: tuple[float, float]) -> requests.Response:
        """The answer at the end of a few redirects, none of which leads to another host."""
        for _ in range(_MOST_REDIRECTS + 1):
            response = self._session.get(address, timeout=timeout, stream=True, verify=self._verify)
            if response.status_code not in _REDIRECTS or "Location" not in response.headers:
                return response
            response.close()
            address = _sent_on(address, response.headers["Location"], what)
        raise permanent_error(f"{what}: redirected too often")


def _sent_on(address: str, location: str, what: str) -> str:
    """Where a redirect leads. Raises `UnavailableError` unless that is the same host, and no less safe."""
    try:
        old, new = urlsplit(address), urlsplit(urljoin(address, location))
        ports = _port(old), _port(new)
    except ValueError:
        raise permanent_error(f"{what}: redirected to an invalid address") from None
    if new.scheme not in _PORTS:
        raise permanent_error(f"{what}: redirected to {new.scheme}, neither http nor https")
    if old.scheme == "https" and new.scheme == "http":
        raise permanent_error(f"{what}: redirected from https to http")
    # A server may send all its callers from its usual port for http to that for https.
    if new.hostname != old.hostname or (ports[0] != ports[1] and ports != (_PORTS["http"], _PORTS["https"])):
        raise permanent_error(f"{what}: redirected to another host, {new.hostname}:{ports[1]}")
    return new.geturl()


def _port(address: SplitResult) -> int | None:
    return address.port or _PORTS.get(address.scheme)


def _status(what: str, status: int) -> UnavailableError:
    if status in _PASSING or status >= 500:
        return content_error(f"{what}: status {status}")
    return permanent_error(f"{what}: status {status}")


def _reason(error: Exception) -> str:
    """One that a reader can do something with: the classes say more than the texts of nested errors."""
    cause: BaseException = error
    while (inner := _inner(cause)) is not None:
        cause = inner
    if isinstance(cause, ssl.SSLError):
        return f"no trusted connection ({cause.reason or cause})"
    for kind, words in _WORDS.items():
        if isinstance(cause, kind):
            return words
    return f"{type(cause).__name__}: {cause}"


def _inner(error: BaseException) -> BaseException | None:
    if isinstance(error, urllib3.exceptions.NewConnectionError | urllib3.exceptions.IncompleteRead):
        return None
    reason = getattr(error, "reason", None)
    for inner in (reason, *reversed(error.args)):
        if isinstance(inner, BaseException):
            return inner
    return None
