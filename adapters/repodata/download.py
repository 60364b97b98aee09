"""Downloads with limits of the size, of the time between two reads, and of the total time."""

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

from adapters.http.bounded_responses import NoRedirectSession
from adapters.http.call_deadline import CallDeadline
from adapters.http.deadline_connections import DeadlineAdapter
from adapters.repodata.errors import content_error, permanent_error
from domain.errors import ConfigurationError, UnavailableError

_CONNECT_TIMEOUT: Final = 10.0  # seconds
_READ_TIMEOUT: Final = 30.0  # seconds between two reads
_PIECE_SIZE: Final = 64 * 1024  # bytes
_MOST_REDIRECTS: Final = 5
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_PORTS: Final = {"http": 80, "https": 443}
_LARGEST_DOCUMENT: Final = 4 * 1024 * 1024  # bytes
# Status codes that are retried, in addition to 5xx. A file may be missing for a moment while the repository changes.
_TEMPORARY: Final = frozenset({404, 408, 429})
# Messages by exception. The first match counts: urllib3's NewConnectionError is also a TimeoutError.
_MESSAGES: Final[dict[type[BaseException], str]] = {
    urllib3.exceptions.IncompleteRead: "cut off before its end",
    http.client.IncompleteRead: "cut off before its end",
    urllib3.exceptions.NameResolutionError: "unknown host name",
    urllib3.exceptions.NewConnectionError: "cannot connect",
    urllib3.exceptions.TimeoutError: "no answer in time",
    TimeoutError: "no answer in time",
}


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A TLS client certificate, which Red Hat's repositories require, in PEM files.

    Without `key`, the key is in the file of the certificate. `ca` holds the only certificate authorities to trust;
    without it, those of the system are trusted.
    """

    certificate: Path
    key: Path | None = None
    ca: Path | None = None

    def check(self) -> None:
        """Raise ConfigurationError if the files are unusable."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            # Without a password argument, OpenSSL would ask for the passphrase of a key on the terminal.
            context.load_cert_chain(self.certificate, self.key, password="")
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"{self.key or self.certificate}: no usable client certificate: {error}") from None
        if self.ca is not None:
            try:
                context.load_verify_locations(self.ca)
            except OSError as error:
                raise ConfigurationError(f"{self.ca}: no usable certificates of authorities: {error}") from None


class Downloads:
    """A downloader for one thread, as a context manager. It uses the proxies of the environment."""

    def __init__(self, certificate: ClientCertificate | None = None) -> None:
        self._session = NoRedirectSession()
        # The server must not compress: files are already compressed, and checksums are those of the compressed files.
        self._session.headers.update({"User-Agent": "image-builder", "Accept-Encoding": "identity"})
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, DeadlineAdapter())
        self._verify: str | None = None
        if certificate is not None:
            self._session.cert = (str(certificate.certificate), str(certificate.key or certificate.certificate))
            self._verify = str(certificate.ca) if certificate.ca else None

    def __enter__(self) -> Downloads:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def document(self, address: str, what: str, deadline: float) -> bytes:
        """Download a document of at most 4 MiB and return its content. Raises the errors of `into`."""
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
        """Download an address into a file, and pass each piece to `take`.

        `deadline` is a time of `time.monotonic()`. Raises UnavailableError, which begins with `what`, if the download
        fails, has more than `largest` bytes, ends too early, or exceeds the deadline.
        """
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise permanent_error(f"{what}: timed out")
        with CallDeadline(deadline) as call:
            try:
                self._copy(file, address, what, largest, remaining, take)
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
                reason = "timed out" if call.has_expired else _describe_failure(error)
                raise content_error(f"{what}: {reason}") from error
        # The connection is closed at the deadline, which looks like the end of an answer without Content-Length.
        if call.has_expired:
            raise content_error(f"{what}: timed out")

    def _copy(
        self, file: BinaryIO, address: str, what: str, largest: int, remaining: float, take: Callable[[bytes], None]
    ) -> None:
        with self._follow_redirects(
            address, what, (min(_CONNECT_TIMEOUT, remaining), min(_READ_TIMEOUT, remaining))
        ) as response:
            if response.status_code != 200:
                raise _status_error(what, response.status_code)
            size = 0
            for piece in response.raw.stream(_PIECE_SIZE, decode_content=False):
                size += len(piece)
                if size > largest:
                    raise content_error(f"{what}: larger than {largest} bytes")
                take(piece)
                file.write(piece)

    def _follow_redirects(self, address: str, what: str, timeout: tuple[float, float]) -> requests.Response:
        """Follow a few redirects on the same host, and return the answer at their end."""
        for _ in range(_MOST_REDIRECTS + 1):
            response = self._session.get(address, timeout=timeout, stream=True, verify=self._verify)
            if response.status_code not in _REDIRECTS or "Location" not in response.headers:
                return response
            response.close()
            address = _redirect_target(address, response.headers["Location"], what)
        raise permanent_error(f"{what}: redirected too often")


def _redirect_target(address: str, location: str, what: str) -> str:
    """Return the address of a redirect. Raises UnavailableError if it leads to another host, or from https to http."""
    try:
        old, new = urlsplit(address), urlsplit(urljoin(address, location))
        ports = _port(old), _port(new)
    except ValueError:
        raise permanent_error(f"{what}: redirected to an invalid address") from None
    if new.scheme not in _PORTS:
        raise permanent_error(f"{what}: redirected to {new.scheme}, neither http nor https")
    if old.scheme == "https" and new.scheme == "http":
        raise permanent_error(f"{what}: redirected from https to http")
    # Redirects from http to https on the standard ports are allowed.
    if new.hostname != old.hostname or (ports[0] != ports[1] and ports != (_PORTS["http"], _PORTS["https"])):
        raise permanent_error(f"{what}: redirected to another host, {new.hostname}:{ports[1]}")
    return new.geturl()


def _port(address: SplitResult) -> int | None:
    return address.port or _PORTS.get(address.scheme)


def _status_error(what: str, status: int) -> UnavailableError:
    if status in _TEMPORARY or status >= 500:
        return content_error(f"{what}: status {status}")
    return permanent_error(f"{what}: status {status}")


def _describe_failure(error: Exception) -> str:
    """Return a message for users, by the innermost exception, which the outer ones only repeat."""
    cause: BaseException = error
    while (inner := _get_inner_error(cause)) is not None:
        cause = inner
    if isinstance(cause, ssl.SSLError):
        return f"no trusted connection ({cause.reason or cause})"
    for kind, message in _MESSAGES.items():
        if isinstance(cause, kind):
            return message
    return f"{type(cause).__name__}: {cause}"


def _get_inner_error(error: BaseException) -> BaseException | None:
    if isinstance(error, urllib3.exceptions.NewConnectionError | urllib3.exceptions.IncompleteRead):
        return None
    reason = getattr(error, "reason", None)
    for inner in (reason, *reversed(error.args)):
        if isinstance(inner, BaseException):
            return inner
    return None
