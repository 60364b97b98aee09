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
    ARCHITECTURES,
    Document,
    Keyring,
    Source,
    format_document,
    keyrings_by_repository,
    write_if_changed,
)
from adapters.files.distributions import load_distributions
from adapters.http.call_deadline import CallDeadline
from adapters.http.deadline_connections import DeadlineAdapter
from domain.errors import ConfigurationError, UnavailableError

_TIMEOUT = (5.0, 15.0)  # seconds to connect, seconds between two reads
_TOTAL_TIMEOUT_SECONDS = 60.0  # for all attempts to download one URL
_MAX_DOWNLOAD_BYTES = 4 * 1024 * 1024  # keyrings of vendors have tens of kilobytes
_ATTEMPTS = 3

Fetch: TypeAlias = Callable[[str], bytes]
"""A function that returns the content of a URL, or raises UnavailableError."""


@dataclass(frozen=True, slots=True)
class _SignedRepository:
    """A repository in the file of the distribution with this folder name, and its keyring."""

    distribution: str
    repository: Document
    keyring: Keyring


def fetch_keys(source: Source, directory: Path, fetch: Fetch | None = None) -> tuple[Path, ...]:
    """Write the armored keys into the `gpgkey` of every repository that has a keyring; return the files that changed.

    `fetch` downloads a URL, by default `download`; each URL is downloaded once.

    Raises ConfigurationError before any file is written if a fingerprint is found at none of its keyring's URLs, or if
    the directory is invalid. Raises it, too, if a file cannot be written; earlier files have then been changed.
    """
    load_distributions(directory)  # raises ConfigurationError if the directory is invalid
    documents = _read_documents(source, directory)
    signed_repositories = list(_find_signed_repositories(source, documents))
    certificates, failures = _fetch_certificates(signed_repositories, fetch or download)
    missing_keys = list(_describe_missing_keys(signed_repositories, certificates, failures))
    if missing_keys:
        raise ConfigurationError("\n".join(missing_keys))
    for signed in signed_repositories:
        signed.repository["gpgkey"] = "".join(
            str(certificates[fingerprint]) for fingerprint in signed.keyring.fingerprints
        )
    try:
        return tuple(path for path, document in documents.items() if write_if_changed(path, format_document(document)))
    except OSError as error:
        raise ConfigurationError(f"{error.filename or directory}: {error.strerror}") from None


def download(url: str) -> bytes:
    """Download a URL: at most 4 MiB, within a minute.

    Temporary failures (connection, timeout, status 5xx) are tried three times. Raises UnavailableError after these
    attempts, and for any other failure at once.
    """
    deadline = time.monotonic() + _TOTAL_TIMEOUT_SECONDS
    try:
        for attempt in stamina.retry_context(
            on=_is_temporary, attempts=_ATTEMPTS, wait_initial=0.2, wait_max=2.0, wait_jitter=0.2
        ):
            with attempt:
                return _download_once(url, deadline)
    except requests.RequestException as error:
        raise UnavailableError(_describe_failure(error)) from error
    raise AssertionError("stamina raises the last attempt's error")  # pragma: no cover


def _download_once(url: str, deadline: float) -> bytes:
    """Download a URL until the deadline, a time of `time.monotonic`.

    Raises UnavailableError if the content is too large or incomplete at the deadline, and requests.RequestException.
    """
    content = bytearray()
    with CallDeadline(deadline) as call:
        try:
            with _session() as session, session.get(url, timeout=_TIMEOUT, stream=True) as response:
                response.raise_for_status()
                for piece in response.iter_content(64 * 1024):
                    content += piece
                    if len(content) > _MAX_DOWNLOAD_BYTES:
                        raise UnavailableError(f"more than {_MAX_DOWNLOAD_BYTES} bytes")
        except requests.RequestException:
            if not call.has_expired:
                raise
    # The connection is closed at the deadline, which looks like the end of an answer without Content-Length.
    if call.has_expired:
        raise UnavailableError(f"not complete within {_TOTAL_TIMEOUT_SECONDS:g} seconds")
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


def _describe_failure(error: requests.RequestException) -> str:
    if error.response is not None:
        return f"status {error.response.status_code}"
    return type(error).__name__


def _read_documents(source: Source, directory: Path) -> dict[Path, Document]:
    """Return the parsed JSON of the distributions' files that exist in the directory, by path."""
    paths = (directory / name / f"{name}.json" for name in source.distributions)
    return {path: json.loads(path.read_bytes()) for path in paths if path.is_file()}


def _find_signed_repositories(source: Source, documents: Mapping[Path, Document]) -> Iterator[_SignedRepository]:
    keyrings = keyrings_by_repository(source)
    for path, document in documents.items():
        name = path.parent.name
        for arch in ARCHITECTURES:
            for repository in (document.get(arch) or {}).get("repositories") or []:
                keyring = keyrings.get((name, arch, repository["id"]))
                if keyring:
                    yield _SignedRepository(name, repository, keyring)


def _fetch_certificates(
    signed_repositories: Iterable[_SignedRepository], fetch: Fetch
) -> tuple[dict[str, Cert], dict[str, str]]:
    """Download the OpenPGP certificates (public keys); return them by fingerprint, and reasons of failures by URL."""
    certificates: dict[str, Cert] = {}
    failures: dict[str, str] = {}
    for url in dict.fromkeys(url for signed in signed_repositories for url in signed.keyring.addresses):
        try:
            downloaded = _parse_certificates(fetch(url))
        except UnavailableError as error:
            failures[url] = error.detail
            continue
        for certificate in downloaded:
            fingerprint = certificate.fingerprint.upper()
            existing = certificates.get(fingerprint)
            # URLs may serve different subkeys or signatures of one key.
            certificates[fingerprint] = existing.merge(certificate) if existing else certificate
    return certificates, failures


def _parse_certificates(content: bytes) -> list[Cert]:
    """Parse an armored or binary OpenPGP keyring. Raises UnavailableError if it holds no certificates."""
    try:
        certificates = Cert.split_bytes(content)
    except (RuntimeError, ValueError):
        certificates = []
    if not certificates:
        raise UnavailableError("no OpenPGP certificates")
    return certificates


def _describe_missing_keys(
    signed_repositories: Iterable[_SignedRepository], certificates: Mapping[str, Cert], failures: Mapping[str, str]
) -> Iterator[str]:
    """Return a line for each fingerprint without a certificate, with the repositories that it signs."""
    # The inner dict serves as an ordered set.
    missing: defaultdict[tuple[str, tuple[str, ...]], dict[str, None]] = defaultdict(dict)
    for signed in signed_repositories:
        for fingerprint in signed.keyring.fingerprints:
            if fingerprint not in certificates:
                repository = f"{signed.distribution} {signed.repository['id']}"
                missing[fingerprint, signed.keyring.addresses][repository] = None
    for (fingerprint, urls), repositories in missing.items():
        tried = ", ".join(f"{url} ({failures.get(url, 'does not contain it')})" for url in urls)
        yield f"{fingerprint}, which signs {', '.join(repositories)}, was not found at {tried}"
