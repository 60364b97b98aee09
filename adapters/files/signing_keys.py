"""The vendors' signing keys: downloaded, matched with the fingerprints of the source, put into the files."""

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
    as_text,
    signers,
    write_if_changed,
)
from adapters.files.distributions import load_distributions
from adapters.http.watchdog import Watch, WatchedAdapter
from domain.errors import ConfigurationError, UnavailableError

_TIMEOUT = (5.0, 15.0)  # seconds to connect, seconds between two pieces of an answer
_SECONDS = 60.0  # for what an address serves, all attempts together
_LARGEST = 4 * 1024 * 1024  # bytes; a vendor's keyring has some tens of thousands
_ATTEMPTS = 3

Fetch: TypeAlias = Callable[[str], bytes]
"""The content of an address; raises `UnavailableError`."""


@dataclass(frozen=True, slots=True)
class _Signed:
    """A repository of a distribution's file, and the keys that sign it."""

    distribution: str
    path: Path
    repository: Document
    keyring: Keyring


def fetch_keys(source: Source, directory: Path, fetch: Fetch | None = None) -> tuple[Path, ...]:
    """Put the armored keys the source names into the directory's files; returns the files that changed.

    Each address is fetched once, by `fetch` (`download` unless given). Raises `ConfigurationError` and leaves
    every file as it was when a key is not among what the addresses serve, or the directory is broken.
    """
    load_distributions(directory)
    documents = _documents(source, directory)
    signed = list(_signed(source, documents))
    certificates, trouble = _collect(signed, fetch or download)
    missing = list(_missing(signed, certificates, trouble))
    if missing:
        raise ConfigurationError("\n".join(missing))
    for each in signed:
        each.repository["gpgkey"] = "".join(str(certificates[f]) for f in each.keyring.fingerprints)
    try:
        return tuple(path for path, document in documents.items() if write_if_changed(path, as_text(document)))
    except OSError as error:
        raise ConfigurationError(f"{error.filename or directory}: {error.strerror}") from None


def download(address: str) -> bytes:
    """What the address serves: at most 4 MiB, within a minute; raises `UnavailableError` after three attempts."""
    deadline = time.monotonic() + _SECONDS
    try:
        for attempt in stamina.retry_context(
            on=_is_passing, attempts=_ATTEMPTS, wait_initial=0.2, wait_max=2.0, wait_jitter=0.2
        ):
            with attempt:
                return _download_once(address, deadline)
    except requests.RequestException as error:
        raise UnavailableError(_reason(error)) from error
    raise AssertionError("stamina raises the last attempt's error")  # pragma: no cover


def _download_once(address: str, deadline: float) -> bytes:
    content = bytearray()
    with Watch(deadline) as watch:
        try:
            with _session() as session, session.get(address, timeout=_TIMEOUT, stream=True) as response:
                response.raise_for_status()
                for piece in response.iter_content(64 * 1024):
                    content += piece
                    if len(content) > _LARGEST:
                        raise UnavailableError(f"more than {_LARGEST} bytes")
        except requests.RequestException:
            if not watch.expired:
                raise
    if watch.expired:  # what lasts until the connection ends looks whole
        raise UnavailableError(f"not whole within {_SECONDS:g} seconds")
    return bytes(content)


def _session() -> requests.Session:
    session = requests.Session()
    session.headers["Accept-Encoding"] = "identity"  # no small answer becomes a large one
    for scheme in ("http://", "https://"):
        session.mount(scheme, WatchedAdapter())
    return session


def _is_passing(error: Exception) -> bool:
    if isinstance(error, requests.HTTPError):
        return error.response.status_code >= 500
    return isinstance(error, requests.ConnectionError | requests.Timeout)


def _reason(error: requests.RequestException) -> str:
    if error.response is not None:
        return f"status {error.response.status_code}"
    return type(error).__name__


def _documents(source: Source, directory: Path) -> dict[Path, Document]:
    """The files of those distributions of the source that the directory has."""
    paths = (directory / name / f"{name}.json" for name in source.distributions)
    return {path: json.loads(path.read_bytes()) for path in paths if path.is_file()}


def _signed(source: Source, documents: Mapping[Path, Document]) -> Iterator[_Signed]:
    keyrings = signers(source)
    for path, document in documents.items():
        name = path.parent.name
        for arch in ("x86_64", "aarch64"):
            for repository in (document.get(arch) or {}).get("repositories") or []:
                keyring = keyrings.get((name, arch, repository["id"]))
                if keyring:
                    yield _Signed(name, path, repository, keyring)


def _collect(signed: Iterable[_Signed], fetch: Fetch) -> tuple[dict[str, Cert], dict[str, str]]:
    """Every certificate served, by fingerprint, and what went wrong, by address."""
    certificates: dict[str, Cert] = {}
    trouble: dict[str, str] = {}
    for address in dict.fromkeys(address for each in signed for address in each.keyring.addresses):
        try:
            found = _certificates(fetch(address))
        except UnavailableError as error:
            trouble[address] = error.detail
            continue
        for certificate in found:
            fingerprint = certificate.fingerprint.upper()
            known = certificates.get(fingerprint)
            certificates[fingerprint] = known.merge(certificate) if known else certificate
    return certificates, trouble


def _certificates(content: bytes) -> list[Cert]:
    """The OpenPGP certificates of an armored or binary keyring; `UnavailableError` when there is none."""
    try:
        found = Cert.split_bytes(content)
    except (RuntimeError, ValueError):
        found = []
    if not found:
        raise UnavailableError("no OpenPGP certificates")
    return found


def _missing(signed: Iterable[_Signed], certificates: Mapping[str, Cert], trouble: Mapping[str, str]) -> Iterator[str]:
    """One line for each fingerprint that no address served, naming whose repositories it signs."""
    wanting: defaultdict[tuple[str, tuple[str, ...]], dict[str, None]] = defaultdict(dict)
    for each in signed:
        for fingerprint in each.keyring.fingerprints:
            if fingerprint not in certificates:
                repository = f"{each.distribution} {each.repository['id']}"
                wanting[fingerprint, each.keyring.addresses][repository] = None
    for (fingerprint, addresses), repositories in wanting.items():
        tried = ", ".join(f"{a} ({trouble.get(a, 'does not hold it')})" for a in addresses)
        yield f"{fingerprint}, which signs {', '.join(repositories)}, was not found at {tried}"
