"""Downloads the signing keys of vendors, checks their fingerprints, and writes them into the distribution files."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import requests
import stamina
from pysequoia import Cert

from adapters.files.distribution_source import (
    Document,
    Keyring,
    Source,
    format_document,
    keyrings_by_repository,
    write_if_changed,
)
from adapters.files.distributions import load_distributions
from adapters.http.call_deadline import CallDeadline, DeadlineAdapter
from domain.errors import ConfigurationError, UnavailableError

_TIMEOUT = (5.0, 15.0)  # seconds to connect, seconds between two pieces of an answer
_TOTAL_TIMEOUT = 60.0  # seconds for all attempts to download one address
_MAX_BYTES = 4 * 1024 * 1024  # of a download; keyrings of vendors have tens of thousands
_ATTEMPTS = 3

Fetch: TypeAlias = Callable[[str], bytes]
"""A function that returns the content of an address, and raises UnavailableError."""


@dataclass(frozen=True, slots=True)
class _Signed:
    """A repository in a distribution's file, and its keyring."""

    distribution: str
    path: Path
    repository: Document
    keyring: Keyring


def fetch_keys(source: Source, directory: Path, fetch: Fetch | None = None) -> tuple[Path, ...]:
    """Write the armored keys of the source's keyrings into the directory's files; returns the files that changed.

    `fetch` downloads an address, by default `download`; each address is downloaded once. Raises ConfigurationError, and
    changes no file, if an address does not serve a key or the directory is invalid.
    """
    load_distributions(directory)
    documents = _read_documents(source, directory)
    signed = list(_find_signed(source, documents))
    certificates, failures = _collect(signed, fetch or download)
    missing = list(_missing(signed, certificates, failures))
    if missing:
        raise ConfigurationError("\n".join(missing))
    for each in signed:
        each.repository["gpgkey"] = "".join(str(certificates[f]) for f in each.keyring.fingerprints)
    try:
        return tuple(path for path, document in documents.items() if write_if_changed(path, format_document(document)))
    except OSError as error:
        raise ConfigurationError(f"{error.filename or directory}: {error.strerror}") from None


def download(address: str) -> bytes:
    """Download an address: at most 4 MiB, within a minute. Raises UnavailableError after three attempts."""
    deadline = time.monotonic() + _TOTAL_TIMEOUT
    try:
        for attempt in stamina.retry_context(
            on=_is_temporary, attempts=_ATTEMPTS, wait_initial=0.2, wait_max=2.0, wait_jitter=0.2
        ):
            with attempt:
                return _download_once(address, deadline)
    except requests.RequestException as error:
        raise UnavailableError(_reason(error)) from error
    raise AssertionError("stamina raises the last attempt's error")  # pragma: no cover


def _download_once(address: str, deadline: float) -> bytes:
    content = bytearray()
    with CallDeadline(deadline) as call:
        try:
            with _session() as session, session.get(address, timeout=_TIMEOUT, stream=True) as response:
                response.raise_for_status()
                for piece in response.iter_content(64 * 1024):
                    content += piece
                    if len(content) > _MAX_BYTES:
                        raise UnavailableError(f"more than {_MAX_BYTES} bytes")
        except requests.RequestException:
            if not call.has_expired:
                raise
    # The connection is closed at the deadline, which looks like the end of an answer without Content-Length.
    if call.has_expired:
        raise UnavailableError(f"not complete within {_TOTAL_TIMEOUT:g} seconds")
    return bytes(content)


def _session() -> requests.Session:
    session = requests.Session()
    session.headers["Accept-Encoding"] = "identity"  # an answer cannot grow by decompression
    for scheme in ("http://", "https://"):
        session.mount(scheme, DeadlineAdapter())
    return session


def _is_temporary(error: Exception) -> bool:
    if isinstance(error, requests.HTTPError):
        return error.response.status_code >= 500
    return isinstance(error, requests.ConnectionError | requests.Timeout)


def _reason(error: requests.RequestException) -> str:
    if error.response is not None:
        return f"status {error.response.status_code}"
    return type(error).__name__


def _read_documents(source: Source, directory: Path) -> dict[Path, Document]:
    """The files of the source's distributions that exist in the directory, by path."""
    paths = (directory / name / f"{name}.json" for name in source.distributions)
    return {path: json.loads(path.read_bytes()) for path in paths if path.is_file()}


def _find_signed(source: Source, documents: Mapping[Path, Document]) -> Iterator[_Signed]:
    keyrings = keyrings_by_repository(source)
    for path, document in documents.items():
        name = path.parent.name
        for arch in ("x86_64", "aarch64"):
            for repository in (document.get(arch) or {}).get("repositories") or []:
                keyring = keyrings.get((name, arch, repository["id"]))
                if keyring:
                    yield _Signed(name, path, repository, keyring)


def _collect(signed: Iterable[_Signed], fetch: Fetch) -> tuple[dict[str, Cert], dict[str, str]]:
    """The downloaded certificates by fingerprint, and the reasons of failures by address."""
    certificates: dict[str, Cert] = {}
    failures: dict[str, str] = {}
    for address in dict.fromkeys(address for each in signed for address in each.keyring.addresses):
        try:
            found = _parse_certificates(fetch(address))
        except UnavailableError as error:
            failures[address] = error.detail
            continue
        for certificate in found:
            fingerprint = certificate.fingerprint.upper()
            known = certificates.get(fingerprint)
            certificates[fingerprint] = known.merge(certificate) if known else certificate
    return certificates, failures


def _parse_certificates(content: bytes) -> list[Cert]:
    """Parse an armored or binary OpenPGP keyring. Raises UnavailableError if it holds no certificates."""
    try:
        found = Cert.split_bytes(content)
    except (RuntimeError, ValueError):
        found = []
    if not found:
        raise UnavailableError("no OpenPGP certificates")
    return found


def _missing(signed: Iterable[_Signed], certificates: Mapping[str, Cert], failures: Mapping[str, str]) -> Iterator[str]:
    """One line for each fingerprint without a certificate, with the repositories that it signs."""
    missing: defaultdict[tuple[str, tuple[str, ...]], dict[str, None]] = defaultdict(dict)
    for each in signed:
        for fingerprint in each.keyring.fingerprints:
            if fingerprint not in certificates:
                repository = f"{each.distribution} {each.repository['id']}"
                missing[fingerprint, each.keyring.addresses][repository] = None
    for (fingerprint, addresses), repositories in missing.items():
        tried = ", ".join(f"{a} ({failures.get(a, 'does not contain it')})" for a in addresses)
        yield f"{fingerprint}, which signs {', '.join(repositories)}, was not found at {tried}"
