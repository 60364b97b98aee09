"""GET /packages?repository=…: packages of further repositories."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest

from adapters.embedded.composer.process import StandInComposer
from adapters.embedded.platform import sample_data
from adapters.embedded.platform.process import StandInPlatform
from tests.support.databases import Parameters
from tests.support.loopback import Loopback, answer
from tests.support.platform import service_with
from tests.support.refusals import refusal
from tests.support.service import Client, Service

SEARCH = "/packages?distribution=centos-9&architecture=x86_64&search=vim"
URL = "https://packages.example/el9/"


def test_the_composer_searches_repositories_that_are_given_by_url(client: Client, composer: StandInComposer) -> None:
    before = composer.counters().get("POST /search/packages", 0)
    answer = client.get(f"{SEARCH}&repository={quote(URL)}&repository={quote(URL)}b")
    assert answer.status_code == 200, answer.text
    assert composer.counters()["POST /search/packages"] == before + 1
    assert answer.json()["links"]["first"].count("&repository=") == 2


def test_a_base_url_that_is_no_url_is_refused(client: Client) -> None:
    assert "repository" in refusal(client.get(f"{SEARCH}&repository=file%3A///etc"), 400)


def test_a_distribution_without_repositories_cannot_be_searched_with_further_ones(client: Client) -> None:
    search = "/packages?distribution=hummingbird&architecture=x86_64&search=ssh"
    assert client.get(search).json()["data"] == []
    assert "repository" in refusal(client.get(f"{search}&repository={quote(URL)}"), 400)


def test_a_repository_that_content_sources_does_not_know_is_refused(platform_service: Service) -> None:
    unknown = str(uuid4())
    answer = platform_service.client(uuid4().hex).get(f"{SEARCH}&repository={unknown}")
    assert unknown in refusal(answer, 400)


def test_without_content_sources_the_id_of_a_repository_cannot_be_searched(client: Client) -> None:
    refusal(client.get(f"{SEARCH}&repository={uuid4()}"), 503)


@pytest.fixture
def recording() -> Iterator[Loopback]:
    """A composer that records searches and finds one package."""
    with Loopback(answer(200, {"packages": [{"name": "vim-tools", "summary": "Tools"}]})) as server:
        yield server


@pytest.fixture
def searching(recording: Loopback, database: Parameters, platform: StandInPlatform) -> Iterator[Client]:
    """A client of a service whose composer is `recording`, with all back-ends of the platform."""
    with service_with(database, recording.url, platform) as service:
        yield service.client(uuid4().hex)


def sent(recording: Loopback) -> list[dict[str, Any]]:
    """The repositories of the only search that the composer got."""
    (search,) = [each for each in recording.asked if each.path.endswith("/search/packages")]
    repositories: list[dict[str, Any]] = json.loads(search.body)["repositories"]
    return repositories


def test_repositories_by_url_and_by_id_are_sent_behind_those_of_the_distribution(
    searching: Client, recording: Loopback
) -> None:
    given = [URL, sample_data.EXTERNAL, sample_data.COMMUNITY.upper(), sample_data.UPLOAD]
    found = searching.get(SEARCH + "".join(f"&repository={quote(each)}" for each in given))
    assert found.status_code == 200, found.text
    assert [each["name"] for each in found.json()["data"]] == ["vim-tools"]
    repositories = sent(recording)
    own, added = repositories[:-4], repositories[-4:]
    assert len(own) == 2
    assert all("gpgkey" in each for each in own)
    assert added[:3] == [
        {"baseurl": URL, "rhsm": False},
        {"baseurl": sample_data.EXTERNAL_URL, "rhsm": False},
        {"baseurl": sample_data.COMMUNITY_URL, "rhsm": False},
    ]
    # An uploaded repository has no address but that of its latest snapshot.
    assert added[3]["baseurl"].startswith("https://content.example.com/")
    assert added[3]["rhsm"] is False


@pytest.mark.parametrize(
    "wrong", ["", "el9", "file:///etc", "ftp://a.example/", "http://", "https:// a", "https://a b", "\t"]
)
def test_a_wrong_repository_among_right_ones_is_refused_and_nothing_is_searched(
    searching: Client, recording: Loopback, wrong: str
) -> None:
    found = searching.get(f"{SEARCH}&repository={quote(URL)}&repository={quote(wrong)}")
    assert "repository" in refusal(found, 400)
    assert recording.asked == []


def test_a_red_hat_repository_or_an_unknown_one_is_refused_by_its_id(searching: Client, recording: Loopback) -> None:
    for unknown in (sample_data.RHEL9_BASEOS, str(uuid4())):
        assert unknown in refusal(searching.get(f"{SEARCH}&repository={unknown}"), 400)
    assert recording.asked == []


def test_more_repositories_than_the_contract_allows_are_refused(searching: Client) -> None:
    refusal(searching.get(SEARCH + f"&repository={quote(URL)}" * 21), 400)
