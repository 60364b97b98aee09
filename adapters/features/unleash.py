"""Feature flags of an Unleash server, which this process fetches and evaluates."""

from __future__ import annotations

import os
import socket
import time
from threading import Event
from typing import Any, Final

import requests
import structlog
from UnleashClient.cache import BaseCache
from UnleashClient.clients.unleash_client import UnleashClient
from UnleashClient.constants import CLIENT_SPEC_VERSION, FEATURES_URL
from UnleashClient.utils import InstanceAllowType

from adapters.http.answer import Answer
from adapters.http.exchange import exchange, new_session
from ports.deadline import remaining_seconds, until
from ports.meter import NULL_METER, CallOutcome, Meter
from ports.periodic_thread import PeriodicThread
from ports.waiting import about_to_wait

log = structlog.get_logger()

_COMPLIANCE_POLICIES: Final = "image-builder.compliance-policies.enabled"
# The name of the back-end in metrics.
_BACK_END: Final = "feature flags"
_APPLICATION: Final = "image-builder"
_PROJECT: Final = "default"
# Seconds between two fetches.
_INTERVAL: Final = 15.0
# Seconds for one fetch.
_TIMEOUT: Final = 5.0
# Seconds to wait at shutdown for a fetch that is running.
_STOP_TIMEOUT: Final = 1.0
# The largest answer in bytes, enough for thousands of flags: a larger one could take more memory than a pod has.
_MAX_ANSWER_SIZE: Final = 2 * 1024 * 1024
# The largest number of JSON values in an answer, for the same reason.
_MAX_VALUES: Final = 250_000


class _UnusableError(Exception):
    """Unleash's answer does not contain feature flags; the text says why."""


class UnleashFeatureFlags:
    """Feature flags of an Unleash server. Implements ports.features.FeatureFlags.

    Until the first fetch succeeds, every flag is on; then the flags of the last fetch that succeeded apply. A flag that
    Unleash does not know is off, as for all of Unleash's clients.

    UnleashClient evaluates the flags but does not fetch them: its own thread has no limit for an answer that arrives in
    small pieces, and the caller that stops the thread would wait as long.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        interval: float = _INTERVAL,
        patience: float = _TIMEOUT,
        meter: Meter = NULL_METER,
    ) -> None:
        """Fetch the flags from `url`, such as `https://unleash.example.com/api`, every `interval` seconds.

        A fetch may take `patience` seconds.
        """
        self._url = f"{url.rstrip('/')}{FEATURES_URL}?project={_PROJECT}"
        self._headers = {
            "Authorization": token,
            "UNLEASH-APPNAME": _APPLICATION,
            "UNLEASH-INSTANCEID": f"{socket.gethostname()}-{os.getpid()}",
            "Unleash-Client-Spec": CLIENT_SPEC_VERSION,
        }
        self._patience = patience
        self._meter = meter
        self._session = new_session(1)
        self._thread = PeriodicThread("unleash", self._fetch_flags, interval, on_error=self._report_failure)
        self._first_fetch_ended = Event()
        self._document = b""
        self._flags: UnleashClient | None = None
        self._unavailable = False

    def start(self) -> None:
        """Start to fetch the flags on a thread; return at once."""
        self._thread.start()

    def stop(self) -> None:
        """Stop fetching; wait at most a second for a running fetch."""
        self._thread.stop(timeout=_STOP_TIMEOUT)
        self._session.close()

    def compliance_policies(self) -> bool:
        """Implements `FeatureFlags.compliance_policies`. Waits until the first fetch has ended."""
        if not self._first_fetch_ended.is_set():
            about_to_wait()
        self._first_fetch_ended.wait(max(min(self._patience, remaining_seconds()), 0.0))
        return self._flags is None or bool(self._flags.is_enabled(_COMPLIANCE_POLICIES))

    def _fetch_flags(self) -> None:
        answer = self._fetch_answer()
        if answer.status != 200:
            raise _UnusableError(f"status {answer.status}")
        if answer.body != self._document:
            self._flags = _create_evaluator(answer)
            self._document = answer.body
        self._report_success()

    def _fetch_answer(self) -> Answer:
        started_at = time.perf_counter()
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
                    max_bytes=_MAX_ANSWER_SIZE,
                )
        except requests.Timeout:
            outcome = CallOutcome.LATE
            raise
        else:
            outcome = CallOutcome.of(answer.status)
            return answer
        finally:
            self._meter.back_end_called(_BACK_END, outcome, time.perf_counter() - started_at)

    def _report_failure(self, error: Exception) -> None:
        if not self._unavailable:
            cause = str(error) if isinstance(error, _UnusableError) else type(error).__name__
            log.warning(
                "feature flags unavailable: Unleash gives no usable answer",
                cause=cause,
                last_known_flags_apply=self._flags is not None,
            )
        self._unavailable = True
        self._first_fetch_ended.set()

    def _report_success(self) -> None:
        if self._unavailable:
            log.info("feature flags available again from Unleash")
        self._unavailable = False
        self._first_fetch_ended.set()


def _create_evaluator(answer: Answer) -> UnleashClient:
    """Return an evaluator of the flags in Unleash's answer. Raises _UnusableError if the answer contains no flags."""
    if sum(map(answer.body.count, (b"{", b"[", b","))) > _MAX_VALUES:
        raise _UnusableError("too many feature flags")
    names = _feature_names(answer.json())
    # A client that is neither initialized nor destroyed starts no thread, makes no calls, and writes no file.
    client = UnleashClient(
        "",
        _APPLICATION,
        project_name=_PROJECT,
        cache=_SingleAnswerCache(answer.body.decode()),
        multiple_instance_mode=InstanceAllowType.SILENTLY_ALLOW,
    )
    if _COMPLIANCE_POLICIES in names and _COMPLIANCE_POLICIES not in client.feature_definitions():
        raise _UnusableError("a feature flag that cannot be evaluated")
    return client


def _feature_names(document: Any) -> set[str]:
    """Return the names of all flags. Raises _UnusableError if the document has another form.

    There is no marshmallow schema, because marshmallow would collect an error for each invalid flag.
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


class _SingleAnswerCache(BaseCache):
    """A cache in memory from which UnleashClient reads its flags; its own cache is a file that all processes share."""

    bootstrapped = True

    def __init__(self, features: str) -> None:
        self._values: dict[str, Any] = {FEATURES_URL: features}

    def set(self, key: str, value: Any) -> None:
        self._values[key] = value

    def mset(self, data: dict[str, Any]) -> None:
        self._values.update(data)

    def get(self, key: str, default: Any = None) -> Any:
        return self._values.get(key, default)

    def exists(self, key: str) -> bool:
        return key in self._values

    def destroy(self) -> None:
        self._values.clear()
