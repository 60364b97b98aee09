"""Switches kept by Unleash, and evaluated here."""

from __future__ import annotations

import os
import socket
import time
from threading import Event, Thread
from typing import Any, Final

import requests
import structlog
from marshmallow import ValidationError, fields
from UnleashClient.cache import BaseCache
from UnleashClient.clients.unleash_client import UnleashClient
from UnleashClient.constants import CLIENT_SPEC_VERSION, FEATURES_URL
from UnleashClient.utils import InstanceAllowType

from adapters.http.answer import Answer
from adapters.http.exchange import exchange, new_session
from adapters.http.schemas import AnswerSchema
from ports.deadline import left, until
from ports.meter import SILENT, CallOutcome, Meter

log = structlog.get_logger()

_COMPLIANCE_POLICIES: Final = "image-builder.compliance-policies.enabled"
# Under this name calls are counted.
_BACK_END: Final = "feature flags"
_APPLICATION: Final = "image-builder"
_PROJECT: Final = "default"
# Seconds between two questions, and for one of them.
_INTERVAL: Final = 15.0
_PATIENCE: Final = 5.0


class _UnusableError(Exception):
    """Unleash answered something else than its flags; the text says what."""


class _FeatureSchema(AnswerSchema):
    name = fields.String(required=True)


class _FeaturesSchema(AnswerSchema):
    features = fields.List(fields.Nested(_FeatureSchema), required=True)


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
        """Ask no more; a question that is under way is waited for."""
        self._ending.set()
        self._thread.join()
        self._session.close()

    def compliance_policies(self) -> bool:
        """See the port. Waits for the outcome of the first question."""
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
            self._flags = _evaluator(answer.body, answer.json())
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
                    connect=self._patience,
                    read=self._patience,
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
            log.warning("feature flags cannot be had from Unleash", cause=cause, known=self._flags is not None)
        self._away = True

    def _say_here(self) -> None:
        if self._away:
            log.info("feature flags come from Unleash again")
        self._away = False


def _evaluator(document: bytes, parsed: Any) -> UnleashClient:
    """What knows the flags of Unleash's answer. Raises _UnusableError where they cannot be told from it."""
    try:
        names = {feature["name"] for feature in _FeaturesSchema().load(parsed)["features"]}
    except ValidationError:
        raise _UnusableError("no feature flags") from None
    # Neither initialized nor destroyed, it starts no thread, calls nobody, and writes no file.
    client = UnleashClient(
        "",
        _APPLICATION,
        project_name=_PROJECT,
        cache=_OneAnswer(document.decode()),
        multiple_instance_mode=InstanceAllowType.SILENTLY_ALLOW,
    )
    if _COMPLIANCE_POLICIES in names and _COMPLIANCE_POLICIES not in client.feature_definitions():
        raise _UnusableError("a feature flag that cannot be evaluated")
    return client


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
