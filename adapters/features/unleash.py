"""Switches kept by Unleash, and evaluated here."""

from __future__ import annotations

import os
import socket
import time
from threading import Event, Thread
from typing import Any, Final

import requests
import structlog
from UnleashClient.cache import BaseCache
from UnleashClient.clients.unleash_client import UnleashClient
from UnleashClient.constants import CLIENT_SPEC_VERSION, FEATURES_URL
from UnleashClient.utils import InstanceAllowType

from adapters.http.answer import Answer
from adapters.http.exchange import exchange, new_session
from ports.deadline import left, until
from ports.meter import SILENT, CallOutcome, Meter
from ports.waiting import about_to_wait

log = structlog.get_logger()

_COMPLIANCE_POLICIES: Final = "image-builder.compliance-policies.enabled"
# Under this name calls are counted.
_BACK_END: Final = "feature flags"
_APPLICATION: Final = "image-builder"
_PROJECT: Final = "default"
# Seconds between two questions, and for one of them.
_INTERVAL: Final = 15.0
_PATIENCE: Final = 5.0
# Seconds that the end of the service waits for a question that is under way.
_PATIENCE_AT_THE_END: Final = 1.0
# Bytes of an answer, and values in it: some thousand flags. Beyond them an answer takes more memory than a pod has.
_LARGEST_ANSWER: Final = 2 * 1024 * 1024
_MOST_VALUES: Final = 250_000


class _UnusableError(Exception):
    """Unleash answered something else than its flags; the text says what."""


class UnleashFeatures:
    """Fulfils ports.features.Features with the flags of the Unleash at `url`, such as `https://unleash.example.com/api`.

    A flag is on until Unleash was reached once, and then as it was when Unleash was last reached. One that Unleash does
    not know is off, as for all of Unleash's clients.

    A thread of ours asks, because UnleashClient's own waits for an answer that drips for ever, and whoever stops it
    does, too. UnleashClient evaluates. Start it in the process that is to use it: a thread does not survive a fork.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        interval: float = _INTERVAL,
        patience: float = _PATIENCE,
        meter: Meter = SILENT,
    ) -> None:
        """Ask every `interval` seconds, for `patience` seconds at most."""
        self._url = f"{url.rstrip('/')}{FEATURES_URL}?project={_PROJECT}"
        self._headers = {
            "Authorization": token,
            "UNLEASH-APPNAME": _APPLICATION,
            "UNLEASH-INSTANCEID": f"{socket.gethostname()}-{os.getpid()}",
            "Unleash-Client-Spec": CLIENT_SPEC_VERSION,
        }
        self._interval = interval
        self._patience = patience
        self._meter = meter
        self._session = new_session(1)
        self._thread = Thread(target=self._keep_asking, name="unleash", daemon=True)
        self._asked = Event()
        self._ending = Event()
        self._document = b""
        self._flags: UnleashClient | None = None
        self._away = False

    def start(self) -> None:
        """Begin to ask, and do not wait for the answer."""
        self._thread.start()

    def stop(self) -> None:
        """Ask no more, and wait a second for a question that is under way."""
        self._ending.set()
        self._thread.join(_PATIENCE_AT_THE_END)
        self._session.close()

    def compliance_policies(self) -> bool:
        """See the port. Waits for the outcome of the first question."""
        if not self._asked.is_set():
            about_to_wait()
        self._asked.wait(max(min(self._patience, left()), 0.0))
        return self._flags is None or bool(self._flags.is_enabled(_COMPLIANCE_POLICIES))

    def _keep_asking(self) -> None:
        while not self._ending.is_set():
            try:
                self._ask()
            except Exception as error:  # noqa: BLE001 - whatever it is, the next answer may be a better one
                self._say_away(error)
            else:
                self._say_here()
            self._asked.set()
            self._ending.wait(self._interval)

    def _ask(self) -> None:
        answer = self._metered()
        if answer.status != 200:
            raise _UnusableError(f"status {answer.status}")
        if answer.body != self._document:
            self._flags = _evaluator(answer)
            self._document = answer.body

    def _metered(self) -> Answer:
        began = time.perf_counter()
        outcome = CallOutcome.NO_ANSWER
        try:
            with until(self._patience):
                answer = exchange(
                    self._session,
                    "GET",
                    self._url,
                    data=None,
                    headers=self._headers,
                    timeout=(self._patience, self._patience),
                    largest=_LARGEST_ANSWER,
                )
        except requests.Timeout:
            outcome = CallOutcome.LATE
            raise
        else:
            outcome = CallOutcome.of(answer.status)
            return answer
        finally:
            self._meter.back_end_called(_BACK_END, outcome, time.perf_counter() - began)

    def _say_away(self, error: Exception) -> None:
        if not self._away:
            cause = str(error) if isinstance(error, _UnusableError) else type(error).__name__
            log.warning(
                "feature flags unavailable: Unleash gives no usable answer",
                cause=cause,
                last_known_flags_apply=self._flags is not None,
            )
        self._away = True

    def _say_here(self) -> None:
        if self._away:
            log.info("feature flags available again from Unleash")
        self._away = False


def _evaluator(answer: Answer) -> UnleashClient:
    """What evaluates the flags of Unleash's answer. Raises _UnusableError where it holds none."""
    if sum(map(answer.body.count, (b"{", b"[", b","))) > _MOST_VALUES:
        raise _UnusableError("too many feature flags")
    names = _feature_names(answer.json())
    # Neither initialized nor destroyed, it starts no thread, calls nobody, and writes no file.
    client = UnleashClient(
        "",
        _APPLICATION,
        project_name=_PROJECT,
        cache=_OneAnswer(answer.body.decode()),
        multiple_instance_mode=InstanceAllowType.SILENTLY_ALLOW,
    )
    if _COMPLIANCE_POLICIES in names and _COMPLIANCE_POLICIES not in client.feature_definitions():
        raise _UnusableError("a feature flag that cannot be evaluated")
    return client


def _feature_names(document: Any) -> set[str]:
    """The names of all flags. Raises _UnusableError where the document is of another form.

    Without a schema of marshmallow, which would hold an error for each flag at fault.
    """
    features = document.get("features") if isinstance(document, dict) else None
    if not isinstance(features, list):
        raise _UnusableError("no feature flags")
    names: set[str] = set()
    for feature in features:
        name = feature.get("name") if isinstance(feature, dict) else None
        if not isinstance(name, str):
            raise _UnusableError("a feature flag without a name")
        names.add(name)
    return names


class _OneAnswer(BaseCache):
    """What UnleashClient reads its flags from; its own cache is a file that all processes share."""

    bootstrapped = True

    def __init__(self, features: str) -> None:
        self._kept: dict[str, Any] = {FEATURES_URL: features}

    def set(self, key: str, value: Any) -> None:
        self._kept[key] = value

    def mset(self, data: dict[str, Any]) -> None:
        self._kept.update(data)

    def get(self, key: str, default: Any = None) -> Any:
        return self._kept.get(key, default)

    def exists(self, key: str) -> bool:
        return key in self._kept

    def destroy(self) -> None:
        self._kept.clear()
