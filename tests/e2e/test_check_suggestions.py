"""Names that a check suggests for misspelt packages of a distribution without a package list."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from adapters.embedded.composer.process import StandInComposer
from tests.support.builders import compose_request
from tests.support.service import Client

SEARCH = "POST /search/packages"


@pytest.fixture
def restored(composer: StandInComposer) -> Iterator[StandInComposer]:
    yield composer
    composer.reset()


def problems(client: Client, *packages: str) -> list[dict[str, Any]]:
    answer = client.post("/compose/check", compose_request(customizations={"packages": list(packages)}))
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["problems"]
    return found


@pytest.mark.parametrize(
    ("misspelt", "right"),
    [
        ("ngnix", "nginx"),
        ("gti", "git"),
        ("vim-enhnaced", "vim-enhanced"),
        ("vim_enhanced", "vim-enhanced"),
        ("apache2", "httpd"),
        ("openssh-client", "openssh-clients"),
    ],
)
def test_the_composers_search_gives_the_suggestions(client: Client, misspelt: str, right: str) -> None:
    (problem,) = problems(client, misspelt)
    assert problem["code"] == "packages-not-found"
    assert problem["suggestions"][0] == right


def test_all_misspelt_names_of_a_request_are_searched_in_one_call(client: Client, composer: StandInComposer) -> None:
    before = composer.counters().get(SEARCH, 0)
    found = problems(client, "pdoman", "bcakup", f"no-such-{uuid4().hex}")
    assert sorted(problem["suggestions"] for problem in found) == [[], [], ["podman"]]
    assert composer.counters().get(SEARCH, 0) - before == 1


@pytest.mark.parametrize("status", [404, 500, 503])
def test_a_composer_that_cannot_search_costs_only_the_suggestions(
    client: Client, restored: StandInComposer, status: int
) -> None:
    restored.steer(raw={SEARCH: {"status": status, "body": "no"}})
    (problem,) = problems(client, f"ngnix-{uuid4().hex}")
    assert (problem["code"], problem["severity"]) == ("packages-not-found", "error")
    assert problem["suggestions"] == []


def test_a_valid_request_needs_no_search(client: Client, composer: StandInComposer) -> None:
    before = composer.counters().get(SEARCH, 0)
    assert problems(client, "nginx") == []
    assert composer.counters().get(SEARCH, 0) == before
