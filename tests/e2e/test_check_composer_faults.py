"""A check while the composer is away, slow, cannot resolve packages or answers with rubbish: warnings, never errors."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from adapters.embedded.composer.process import StandInComposer
from tests.support.builders import compose_request
from tests.support.databases import Parameters
from tests.support.service import Client, Service
from tests.support.waiting import BRIEFLY, SOON

DEPSOLVE = "POST /depsolve/blueprint"
OPTIONS = "GET /distributions/{distribution}"
NO_PACKAGES = ("customizations.packages", "not-checked", "warning")
NO_OPTIONS = ("customizations", "not-checked", "warning")
UNSUPPORTED = {
    (f"customizations.{name}", "unsupported-customization", "error") for name in ("hostname", "packages", "users")
}
BAD_USER = ("customizations.users[0].name", "rule-violated", "error")


def faulty(image_type: str = "network-installer") -> dict[str, Any]:
    """A request with faults that only the supported options show, and one of the rules of osbuild."""
    customizations = {
        "packages": [f"no-such-{uuid4().hex}"],
        "hostname": "a.example",
        "users": [{"name": "-bad", "ssh_key": "k"}],
    }
    return compose_request(image_type, customizations=customizations)


def problems(client: Client, body: Any) -> set[tuple[str, str, str]]:
    answer = client.post("/compose/check", body)
    assert answer.status_code == 200, answer.text
    return {(each["path"], each["code"], each["severity"]) for each in answer.json()["problems"]}


@pytest.fixture
def steered(composer: StandInComposer) -> Iterator[StandInComposer]:
    yield composer
    composer.reset()


@pytest.mark.parametrize(
    "raw",
    [
        {"status": 404, "body": {"id": "21", "reason": "Requested resource doesn't exist"}},
        {"status": 501, "body": "no"},
        {"status": 405, "body": ""},
        {"status": 500, "body": {"id": "1", "reason": "internal"}},
        {"status": 500, "body": {"id": "1002", "reason": "no"}},
        {"status": 401, "body": {"id": "401", "reason": "no"}},
        {"status": 502, "body": "<html>"},
        {"status": 200, "body": "<html>"},
        {"status": 200, "body": ""},
        {"status": 200, "body": []},
        {"status": 200, "body": {"packages": 7}},
        {"status": 200, "body": {"packages": [{"name": 7}]}},
        {"status": 302, "body": "", "headers": {"location": "http://127.0.0.1:1/"}},
        {"status": 400, "body": "no"},
        {"status": 400, "body": {"id": [], "reason": 7}},
    ],
    ids=lambda raw: f"{raw['status']} {raw['body']}",
)
def test_a_useless_answer_to_the_resolution_is_a_warning_beside_all_other_problems(
    client: Client, steered: StandInComposer, raw: dict[str, Any]
) -> None:
    steered.steer(raw={DEPSOLVE: {"content_type": "application/json", **raw}})
    before = steered.counters().get(DEPSOLVE, 0)
    assert problems(client, faulty()) == {*UNSUPPORTED, BAD_USER, NO_PACKAGES}
    valid = client.post("/compose/check", compose_request(customizations={"packages": [uuid4().hex]})).json()
    assert valid["valid"] is True
    assert "packages" not in valid["images"][0]
    assert steered.counters()[DEPSOLVE] == before + 2


@pytest.mark.parametrize("status", [400, 500])
def test_missing_packages_are_errors_whatever_the_status(client: Client, steered: StandInComposer, status: int) -> None:
    body = {"id": "1002", "reason": "Failed to depsolve", "details": "Problems in request:\nmissing packages: absent"}
    steered.steer(raw={DEPSOLVE: {"status": status, "body": body, "content_type": "application/json"}})
    packages = [uuid4().hex, "absent"]
    found = problems(client, compose_request(customizations={"packages": packages}))
    assert found == {("customizations.packages[1]", "packages-not-found", "error")}


@pytest.mark.parametrize(
    "raw",
    [
        {"status": 404, "body": {"id": "4", "reason": "Unsupported distribution"}},
        {"status": 200, "body": {"architectures": {}}},
        {"status": 200, "body": {"architectures": {"x86_64": {"image_types": {"wsl": 7}}}}},
        {"status": 200, "body": "<html>"},
    ],
    ids=lambda raw: f"{raw['status']} {raw['body']}",
)
def test_unknown_supported_options_are_a_warning_beside_all_other_problems(
    client: Client, steered: StandInComposer, raw: dict[str, Any]
) -> None:
    steered.steer(raw={OPTIONS: {"content_type": "application/json", **raw}})
    # No other test asks for the options of this image type, which would be kept.
    found = problems(client, faulty("wsl"))
    assert found == {NO_OPTIONS, BAD_USER, ("customizations.packages[0]", "packages-not-found", "error")}


def test_a_composer_that_is_away_leads_to_warnings_beside_all_other_problems(database: Parameters) -> None:
    with Service(database, "http://127.0.0.1:1") as service:
        client = service.client(uuid4().hex)
        assert problems(client, faulty()) == {BAD_USER, NO_OPTIONS, NO_PACKAGES}
        document = client.post("/compose/check", compose_request()).json()
    assert document["valid"] is True
    assert document["images"] == [{"image_type": "guest-image", "architecture": "x86_64", "customizations": []}]


def test_a_slow_resolution_is_a_warning_after_its_time_limit(database: Parameters, steered: StandInComposer) -> None:
    steered.steer(depsolve_hang=True)
    with Service(database, steered.url, environment={"RESOLUTION_TIMEOUT": f"{BRIEFLY:.1f}"}) as service:
        client = service.client(uuid4().hex)
        began = time.monotonic()
        assert problems(client, faulty()) == {*UNSUPPORTED, BAD_USER, NO_PACKAGES}
        assert time.monotonic() - began < SOON


def test_a_composer_that_never_answers_leads_to_warnings_within_the_deadline(
    database: Parameters, steered: StandInComposer
) -> None:
    steered.steer(hang=True)
    with Service(database, steered.url, environment={"COMPOSE_DEADLINE": "1"}) as service:
        client = service.client(uuid4().hex)
        began = time.monotonic()
        assert problems(client, faulty()) == {BAD_USER, NO_OPTIONS, NO_PACKAGES}
        assert time.monotonic() - began < SOON
