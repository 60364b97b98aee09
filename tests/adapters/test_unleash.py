"""Feature flags from Unleash over real sockets."""

import threading
import time
from contextlib import contextmanager

import pytest
from structlog.testing import capture_logs

from adapters.features import EnabledFeatureFlags
from adapters.features.unleash import UnleashFeatureFlags
from ports.deadline import until
from ports.meter import CallOutcome
from tests.support.drip import DRIPS
from tests.support.loopback import answer, close, garbage, half, hang, refused_url, reset, truncated
from tests.support.meter import FakeMeter
from tests.support.unleash import COMPLIANCE, TOKEN, Unleash
from tests.support.waiting import BRIEFLY, PATIENCE, SOON, STRETCH

INTERVAL = 0.05
OFF = {"name": COMPLIANCE, "enabled": False, "strategies": [{"name": "default"}]}
NO_FLAGS = {
    "reset": reset,
    "close": close,
    "no HTTP": garbage,
    "cut off": truncated(),
    "401": answer(401, {"features": [OFF], "version": 2}),
    "403": answer(403),
    "404": answer(404, b"<html>", "text/html"),
    "307": answer(307, b"", location="/api/client/features"),
    "500": answer(500),
    "503": answer(503),
    "HTML": answer(200, b"<html>", "text/html"),
    "cut JSON": answer(200, b'{"features": ['),
    "no UTF-8": answer(200, b'{"features": "\xff"}'),
    "nothing": answer(200, b""),
    "null": answer(200, b"null"),
    "a list": answer(200, b"[]"),
    "no features": answer(200, {"version": 2}),
    "features as text": answer(200, {"version": 2, "features": "x"}),
    "a feature without a name": answer(200, {"version": 2, "features": [{"enabled": False}]}),
    "deep JSON": answer(200, b'{"features": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "too large": answer(200, b" " * 3_000_000),
    "too many flags": answer(200, b'{"version": 2, "features": [' + b"{}," * 300_000 + b"{}]}"),
    "a flag neither on nor off": answer(200, {"version": 2, "features": [OFF | {"enabled": "yes"}]}),
}
SLOW = {"hang": hang, "half": half, "drip": DRIPS["a body"], "dripping header": DRIPS["one header"]}


@contextmanager
def following(url, **options):
    features = UnleashFeatureFlags(url, TOKEN, **{"interval": INTERVAL, "patience": PATIENCE, **options})
    features.start()
    try:
        yield features
    finally:
        features.stop()


def comes_true(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def becomes(features, expected):
    return comes_true(lambda: features.compliance_policies() is expected)


def asked_again(unleash):
    """Wait for two more requests: then the answer to the first one has been processed."""
    seen = len(unleash.asked)
    return comes_true(lambda: len(unleash.asked) >= seen + 2)


@pytest.mark.parametrize("on", [True, False])
def test_a_flag_has_its_value_in_unleash(on):
    with Unleash(compliance=on) as unleash, following(unleash.api_url) as features:
        assert features.compliance_policies() is on


@pytest.mark.parametrize(
    ("instead", "outcome"),
    [
        (None, CallOutcome.SUCCESS),
        (answer(403), CallOutcome.REFUSED),
        (answer(503), CallOutcome.FAILED),
        (hang, CallOutcome.LATE),
        (close, CallOutcome.NO_ANSWER),
    ],
)
def test_each_request_is_counted_with_its_outcome(instead, outcome):
    meter = FakeMeter()
    options = {"meter": meter, "interval": 2 * PATIENCE, "patience": BRIEFLY if instead is hang else PATIENCE}
    with Unleash(instead=instead) as unleash, following(unleash.api_url, **options) as features:
        features.compliance_policies()
    assert meter.calls == [("feature flags", outcome)]
    assert meter.seconds[0] > 0


def test_an_unknown_flag_is_off():
    with Unleash(another=True) as unleash, following(unleash.api_url) as features:
        assert features.compliance_policies() is False


def test_a_flag_for_some_applications_is_evaluated_in_the_client():
    def only(application):
        constraint = {"contextName": "appName", "operator": "IN", "values": [application]}
        strategy = {"name": "default", "parameters": {}, "constraints": [constraint]}
        return answer(
            200, {"version": 2, "features": [{"name": COMPLIANCE, "enabled": True, "strategies": [strategy]}]}
        )

    with Unleash(instead=only("image-builder")) as unleash, following(unleash.api_url) as features:
        assert features.compliance_policies() is True
        unleash.instead = only("provisioning")
        assert becomes(features, False)


def test_requests_to_unleash_name_the_application():
    with Unleash(compliance=True) as unleash, following(unleash.api_url + "/") as features:
        features.compliance_policies()
    asked = unleash.asked[0]
    assert (asked.method, asked.path) == ("GET", "/api/client/features?project=default")
    assert asked.headers["authorization"] == TOKEN
    assert asked.headers["unleash-appname"] == "image-builder"


def test_a_changed_flag_is_followed():
    with Unleash(compliance=True) as unleash, following(unleash.api_url) as features:
        assert features.compliance_policies() is True
        unleash.flags[COMPLIANCE] = False
        assert becomes(features, False)
        unleash.flags[COMPLIANCE] = True
        assert becomes(features, True)


@pytest.mark.parametrize("step", [*NO_FLAGS.values(), *SLOW.values()], ids=[*NO_FLAGS, *SLOW])
def test_flags_are_on_until_unleash_has_answered(step):
    patience = BRIEFLY if step in SLOW.values() else PATIENCE
    with (
        Unleash(instead=step, compliance=False) as unleash,
        following(unleash.api_url, patience=patience) as features,
    ):
        assert features.compliance_policies() is True
        assert asked_again(unleash)
        assert features.compliance_policies() is True
        unleash.instead = None
        assert becomes(features, False)


def test_flags_are_on_if_connections_are_refused():
    with following(refused_url()) as features:
        assert features.compliance_policies() is True


def test_flags_are_on_if_unleash_refuses_the_token():
    with Unleash(compliance=False) as unleash:
        features = UnleashFeatureFlags(unleash.api_url, "another", interval=INTERVAL)
        features.start()
        try:
            assert features.compliance_policies() is True
        finally:
            features.stop()


@pytest.mark.parametrize("step", NO_FLAGS.values(), ids=NO_FLAGS)
def test_flags_keep_their_values_while_unleash_is_unavailable(step):
    with Unleash(compliance=False) as unleash, following(unleash.api_url) as features:
        assert features.compliance_policies() is False
        unleash.instead = step
        assert asked_again(unleash)
        assert features.compliance_policies() is False


@pytest.mark.parametrize("step", SLOW.values(), ids=SLOW)
def test_a_slow_unleash_delays_neither_start_nor_shutdown_and_leaves_no_thread(step):
    with Unleash(compliance=True) as unleash, following(unleash.api_url) as features:
        features.compliance_policies()  # whoever watches over all calls is there now
    before = set(threading.enumerate())
    with Unleash(instead=step) as unleash:
        features = UnleashFeatureFlags(unleash.api_url, TOKEN, patience=2 * PATIENCE)
        began = time.monotonic()
        features.start()
        assert time.monotonic() - began < SOON
        assert comes_true(lambda: unleash.asked)
        began = time.monotonic()
        features.stop()
        assert time.monotonic() - began < SOON
    assert comes_true(lambda: set(threading.enumerate()) <= before)


def test_the_shutdown_does_not_wait_for_the_next_request():
    with Unleash(compliance=True) as unleash, following(unleash.api_url, interval=3600) as features:
        features.compliance_policies()
        began = time.monotonic()
    assert time.monotonic() - began < SOON


def test_a_caller_waits_for_the_first_answer_until_its_deadline():
    slow = answer(200, {"version": 2, "features": [OFF]}, after=STRETCH)
    with Unleash(instead=slow) as unleash, following(unleash.api_url) as features:
        with until(0.05):
            assert features.compliance_policies() is True
        assert features.compliance_policies() is False


def test_the_client_writes_no_files(tmp_path, monkeypatch):
    for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with Unleash(compliance=False) as unleash, following(unleash.api_url) as features:
        assert features.compliance_policies() is False
    assert list(tmp_path.iterdir()) == []


def test_the_log_says_once_that_unleash_is_unavailable_and_once_that_it_is_available():
    with (
        capture_logs() as lines,
        Unleash(instead=answer(401), compliance=True) as unleash,
        following(unleash.api_url) as features,
    ):
        features.compliance_policies()
        assert asked_again(unleash)
        unleash.instead = None
        assert asked_again(unleash)
    assert [(line["log_level"], line["event"]) for line in lines] == [
        ("warning", "feature flags unavailable: Unleash gives no usable answer"),
        ("info", "feature flags available again from Unleash"),
    ]
    assert lines[0]["cause"] == "status 401"
    assert TOKEN not in str(lines)


def test_a_few_thousand_flags_are_read():
    others = {f"some.service.some-feature-{number}.enabled": True for number in range(4000)}
    with Unleash(compliance=False, **others) as unleash, following(unleash.api_url) as features:
        assert features.compliance_policies() is False


def test_flags_are_on_if_unleash_is_not_configured():
    features = EnabledFeatureFlags()
    features.start()
    assert features.compliance_policies() is True
    features.stop()
