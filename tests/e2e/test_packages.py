"""Package search and recommendations as clients see them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from adapters.embedded.composer.process import StandInComposer
from adapters.embedded.platform.process import StandInPlatform
from tests.support.databases import Parameters
from tests.support.listed_distribution import write_listed_distribution
from tests.support.refusals import refusal
from tests.support.service import PROJECT, Client, Service

RECOMMENDATIONS = "/experimental/recommendations"
SEARCHES = "POST /search/packages"
NAMES = ["libssh", "openssh", "openssh-clients", "openssh-server", "ssh", "sshd"]
# Some names begin with text that a URL cannot hold as it is.
ODD = ["c++ & co=1", "c++ #2"]


@pytest.fixture(scope="module")
def listed(
    module_database: Parameters, composer_process: StandInComposer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """The service with one distribution that has package lists."""
    parent = tmp_path_factory.mktemp("distributions")
    write_listed_distribution(parent, "listed-9", {name: f"About {name}" for name in NAMES + ODD})
    environment = {"DISTRIBUTIONS_DIR": str(parent), "PATH_PREFIX": "prefix", "APP_NAME": "app"}
    with Service(module_database, composer_process.url, environment=environment) as running:
        yield running


def found(client: Client, search: str, distribution: str, base: str = "/prefix/app/v1", **more: Any) -> dict[str, Any]:
    params = {"distribution": distribution, "architecture": "x86_64", "search": search, **more}
    answer = client.get("/packages", params=params, base=base)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def names(document: dict[str, Any]) -> list[str]:
    return [each["name"] for each in document["data"]]


def test_listed_packages_are_found_ranked_with_their_summaries(listed: Service, composer: StandInComposer) -> None:
    document = found(listed.client(), "ssh", "listed-9")
    assert names(document) == ["ssh", "sshd", "libssh", "openssh", "openssh-clients", "openssh-server"]
    assert document["meta"] == {"count": 6}
    assert document["data"][0] == {"name": "ssh", "summary": "About ssh"}
    assert SEARCHES not in composer.counters()


@pytest.mark.parametrize("base", ["/prefix/app/v1", "/prefix/app/v1.0", "/api/v1/image-builder"])
def test_links_repeat_the_search_in_order_under_the_configured_path(listed: Service, base: str) -> None:
    links = found(listed.client(), "ssh", "listed-9", base, limit=4, offset=2)["links"]
    path = "/prefix/app/v1.0/packages?search=ssh&distribution=listed-9&architecture=x86_64"
    assert links == {"first": f"{path}&offset=0&limit=4", "last": f"{path}&offset=4&limit=4"}


def test_links_lead_to_their_pages_for_every_search_text(listed: Service) -> None:
    client = listed.client()
    document = found(client, ODD[0][:4], "listed-9", limit=1)
    pages = [client.get(document["links"][end], base="").json() for end in ("first", "last")]
    assert [names(page) for page in pages] == [[name] for name in sorted(ODD)]
    assert pages[0] == document


def test_an_offset_past_the_end_is_an_empty_page(listed: Service) -> None:
    document = found(listed.client(), "ssh", "listed-9", offset=6)
    assert (document["meta"], document["data"]) == ({"count": 6}, [])


def test_a_distribution_without_lists_is_searched_by_the_composer(client: Client, composer: StandInComposer) -> None:
    assert not list((PROJECT / "distributions").glob("centos-9/*-packages.json"))
    document = found(client, "openssh", "centos-9", "/api/image-builder/v1", limit=2)
    assert names(document) == ["openssh", "openssh-clients"]
    assert document["data"][0]["summary"] == "An open source implementation of SSH protocol version 2"
    assert document["meta"] == {"count": 3}
    assert composer.counters()[SEARCHES] == 1


def test_every_installed_distribution_can_be_searched(client: Client, composer: StandInComposer) -> None:
    installed = [each["name"] for each in client.get("/distributions").json()]
    with_packages = [name for name in installed if found(client, "bash", name, "/api/image-builder/v1")["data"]]
    assert len(with_packages) > 20
    assert set(installed) - set(with_packages) == {"hummingbird"}


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("distribution=no-such-one&architecture=x86_64&search=a", 400),
        ("distribution=centos-9&architecture=ppc64le&search=a", 400),
        ("distribution=hummingbird&architecture=aarch64&search=a", 400),
        ("distribution=centos-9&architecture=x86_64", 400),
        ("distribution=centos-9&search=a", 400),
        ("architecture=x86_64&search=a", 400),
        ("distribution=centos-9&architecture=x86_64&search=a&limit=0", 400),
        ("distribution=centos-9&architecture=x86_64&search=a&limit=101", 400),
        ("distribution=centos-9&architecture=x86_64&search=a&offset=-1", 400),
        ("distribution=rhel-9-nightly&architecture=x86_64&search=a", 403),
    ],
)
def test_invalid_searches_are_refused(client: Client, composer: StandInComposer, query: str, status: int) -> None:
    refusal(client.get(f"/packages?{query}"), status)
    assert SEARCHES not in composer.counters()


def test_a_distribution_cannot_be_searched_without_its_entitlement(service: Service, composer: StandInComposer) -> None:
    answer = service.client(entitled=False).get("/packages?distribution=rhel-9&architecture=x86_64&search=a")
    assert refusal(answer, 400) == "distribution not available"


# Recommendations


def recommend(client: Client, **body: Any) -> Any:
    return client.post(RECOMMENDATIONS, {"packages": ["nginx"], "distribution": "rhel9", **body})


@pytest.mark.parametrize("distribution", ["rhel8", "rhel9", "rhel10"])
def test_packages_are_recommended_with_the_model_that_found_them(
    platform_service: Service, platform: StandInPlatform, distribution: str
) -> None:
    answer = recommend(platform_service.client(), distribution=distribution, recommendedPackages=2)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"packages": ["httpd", "mod_ssl"], "modelVersion": "stand-in-1"}


def test_three_packages_are_recommended_when_no_number_is_given(
    platform_service: Service, platform: StandInPlatform
) -> None:
    assert len(recommend(platform_service.client()).json()["packages"]) == 3


def test_the_list_is_empty_if_nothing_is_recommended(platform_service: Service, platform: StandInPlatform) -> None:
    assert recommend(platform_service.client(), packages=[]).json() == {"packages": []}


@pytest.mark.parametrize(
    "body",
    [
        *({"distribution": each} for each in ("rhel7", "rhel11", "rhel", "centos9", "rhel9.6", "rhel9\n", 9, None)),
        *({"packages": each} for each in ("nginx", [1], None)),
        *({"recommendedPackages": each} for each in ("3", 1.5, -1, 2**31, 10**30, None)),
    ],
    ids=str,
)
def test_invalid_requests_for_recommendations_are_refused(
    platform_service: Service, platform: StandInPlatform, body: dict[str, Any]
) -> None:
    refusal(recommend(platform_service.client(), **body), 400)
    assert platform.counters() == {}


@pytest.mark.parametrize(
    "fault", [{"status": 500}, {"status": 404}, {"drop": "before"}, {"raw": {"status": 200}}], ids=str
)
def test_a_failure_of_recommendations_is_an_error_and_not_an_empty_list(
    unspoiled: Service, platform: StandInPlatform, fault: dict[str, Any]
) -> None:
    platform.steer(recommendations=fault)
    answer = recommend(unspoiled.client())
    assert refusal(answer, 503) == "Recommendations gives no usable answer"
    assert answer.headers["Retry-After"]


def test_unconfigured_recommendations_are_an_error_without_retry_after(client: Client) -> None:
    answer = recommend(client)
    assert refusal(answer, 503) == "This needs recommendations, which is not set up here"
    assert "Retry-After" not in answer.headers
