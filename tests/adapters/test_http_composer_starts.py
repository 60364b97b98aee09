"""The client of the composer, over HTTP: the outcome of submitted builds for each answer."""

import time

import pytest
import stamina

from adapters.http.client import new_session
from adapters.http.tokens import Credentials, Tokens
from domain.submission import Accepted, Refused, Unanswered
from tests.support.builders import compose_request
from tests.support.composer_adapter import ID, HastyBackEnd, a_composer, asking, submitted
from tests.support.domain_builders import built
from tests.support.loopback import answer, close, garbage, half, hang, refused_url, reset, truncated
from tests.support.waiting import SOON

BASE = "/api/image-builder-composer/v2"


@pytest.fixture(autouse=True)
def _attempts_without_pauses():
    with stamina.set_testing(True, attempts=100, cap=True):
        yield


def test_an_accepted_build_has_the_id_of_the_composer(real, composer):
    compose_id = submitted(real)
    assert composer.counters() == {"POST /compose": 1}
    assert real.status(compose_id).image.status in {"pending", "building"}


@pytest.mark.parametrize("error_id", ["10", "24", "29", "30", "1000"])
@pytest.mark.parametrize("status", [400, 500, 503])
def test_a_refusal_has_the_reason_and_the_details_of_the_composer(real, composer, error_id, status):
    composer.steer(post_error={"status": status, "id": error_id, "reason": "no", "details": ["why"]})
    outcome = real.submit(built())
    assert outcome == Refused(status, error_id, "no", ["why"])
    assert not outcome.may_have_started
    assert composer.counters() == {"POST /compose": 1}


def test_a_refusal_without_details_has_none(real, composer):
    composer.steer(post_error={"id": "30", "reason": "no"})
    assert real.submit(built()) == Refused(400, "30", "no", None)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("<html>", "text/html"),
        ("", "text/plain"),
        ("{", "application/json"),
        ("[]", "application/json"),
        ("null", "application/json"),
        ('"text"', "application/json"),
        ('{"id": "30"}', "application/json"),
        ('{"reason": "r"}', "application/json"),
        ('{"id": "30", "reason": null}', "application/json"),
        ('{"id": "30", "reason": ["r"]}', "application/json"),
    ],
)
@pytest.mark.parametrize("status", [400, 404, 500, 502, 503, 504])
def test_an_error_that_does_not_come_from_the_composer_has_only_a_status(real, composer, body, content_type, status):
    composer.steer(post_raw={"status": status, "body": body, "content_type": content_type})
    outcome = real.submit(built())
    assert outcome == Refused(status)
    assert outcome.may_have_started is (status >= 500)
    assert composer.counters() == {"POST /compose": 1}


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_build_may_have_started_if_the_connection_broke(real, composer, when):
    composer.steer(post_drop=when)
    assert real.submit(built()) == Unanswered(may_have_started=True)
    assert composer.behaviour()["composes"] == (1 if when == "after" else 0)
    assert composer.counters() == {"POST /compose": 1}


@pytest.mark.parametrize(
    "step",
    [
        answer(201, b"<html>", "text/html"),
        answer(201, b""),
        answer(201, b"{"),
        answer(201, []),
        answer(201, {}),
        answer(201, {"id": None}),
        answer(201, {"id": "no-uuid"}),
        answer(201, {"id": 5}),
        truncated(b'{"id": "', 201),
        garbage,
        close,
        reset,
    ],
)
def test_a_build_may_have_started_if_the_answer_is_unreadable(step):
    with asking(step) as (adapter, asked):
        assert adapter.submit({}) == Unanswered(may_have_started=True)
    assert len(asked) == 1


@pytest.mark.parametrize("step", [hang, half])
def test_a_build_may_have_started_if_the_composer_hangs(step):
    with asking(step, kind=HastyBackEnd) as (adapter, asked):
        began = time.monotonic()
        assert adapter.submit({}) == Unanswered(may_have_started=True)
        assert time.monotonic() - began < SOON
    assert len(asked) == 1


def test_no_build_has_started_if_the_composer_is_unreachable():
    with a_composer(refused_url()) as adapter:
        assert adapter.submit({}) == Unanswered(may_have_started=False)


def test_no_build_has_started_if_the_circuit_breaker_is_open():
    with a_composer(refused_url()) as adapter:
        outcomes = [adapter.submit({}) for _ in range(8)]
    assert outcomes == [Unanswered(may_have_started=False)] * 8


def test_no_build_has_started_without_a_token(composer):
    composer.steer(token_status=500, require_token=True)
    session = new_session(1)
    tokens = Tokens(Credentials(composer.token_url, "us", "secret"), session)
    with a_composer(composer.url, tokens=tokens) as adapter:
        assert adapter.submit(built()) == Unanswered(may_have_started=False)
    session.close()
    assert composer.counters() == {"POST /token": 1}


def test_a_build_is_submitted_once_with_a_token_that_was_revoked(composer):
    composer.steer(require_token=True)
    session = new_session(1)
    tokens = Tokens(Credentials(composer.token_url, "us", "secret"), session)
    with a_composer(composer.url, tokens=tokens) as adapter:
        submitted(adapter)
        composer.steer(revoke_tokens=True)
        submitted(adapter)
    session.close()
    assert composer.behaviour()["composes"] == 2


def test_unknown_keys_and_an_id_in_capital_letters_are_accepted():
    with asking(answer(201, {"id": str(ID).upper(), "kind": None, "href": 5, "surprise": {}})) as (adapter, _):
        assert adapter.submit({}) == Accepted(ID)


def test_the_request_of_a_build_is_sent_unchanged(real, composer):
    request = built(compose_request(image={"size": 2**64 - 1}))
    with asking(answer(201, {"id": str(ID)})) as (adapter, asked):
        adapter.submit(request)
    assert asked[0].path == f"{BASE}/compose"
    assert b"18446744073709551615" in asked[0].body
