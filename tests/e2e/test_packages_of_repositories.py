"""GET /packages?repository=…: packages of further repositories."""

from __future__ import annotations

from urllib.parse import quote
from uuid import uuid4

from adapters.embedded.composer.process import StandInComposer
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


def test_a_repository_that_content_sources_does_not_know_is_refused(platform_service: Service) -> None:
    unknown = str(uuid4())
    answer = platform_service.client(uuid4().hex).get(f"{SEARCH}&repository={unknown}")
    assert unknown in refusal(answer, 400)


def test_without_content_sources_the_id_of_a_repository_cannot_be_searched(client: Client) -> None:
    refusal(client.get(f"{SEARCH}&repository={uuid4()}"), 503)
