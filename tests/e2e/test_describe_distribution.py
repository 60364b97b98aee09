"""GET /distributions/{distribution}, as clients see it: the image types of a distribution."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
import requests

from adapters.embedded.composer.process import StandInComposer
from tests.support.builders import compose_request
from tests.support.databases import Parameters
from tests.support.loopback import Loopback, Visit, answer, close
from tests.support.refusals import refusal
from tests.support.service import Client, Service
from tests.support.waiting import PATIENCE

ASKED = "GET /distributions/{distribution}"


def described(client: Client, path: str) -> dict[str, Any]:
    response = client.get(f"/distributions/{path}")
    assert response.status_code == 200, response.text
    document: dict[str, Any] = response.json()
    return document


def told(composer: StandInComposer, path: str) -> dict[str, Any]:
    """The answer of the composer itself."""
    document: dict[str, Any] = requests.get(f"{composer.api_url}/distributions/{path}", timeout=PATIENCE).json()
    return document


def test_the_answer_of_the_composer_is_passed_on_without_its_reference(
    client: Client, composer: StandInComposer
) -> None:
    theirs = told(composer, "centos-9")
    assert {"id", "kind", "href"} <= set(theirs)
    expected = {key: value for key, value in theirs.items() if key not in {"id", "kind", "href"}}
    assert described(client, "centos-9") == expected


def test_the_answer_has_the_supported_options_of_an_image_type(client: Client, composer: StandInComposer) -> None:
    document = described(client, "centos-9?image_type=qcow2&architecture=x86_64")
    (image_type,) = document["architectures"]["x86_64"]["image_types"].values()
    assert image_type["aliases"] == ["qcow2"]
    assert "customizations.filesystem" in image_type["supported_blueprint_options"]


def test_image_types_and_architectures_may_be_repeated(client: Client, composer: StandInComposer) -> None:
    query = "image_type=aws&image_type=wsl&architecture=x86_64&architecture=aarch64"
    found = described(client, f"centos-9?{query}")["architectures"]
    assert {name: set(each["image_types"]) for name, each in found.items()} == {
        "x86_64": {"aws", "wsl"},
        "aarch64": {"aws", "wsl"},
    }


def test_an_alias_is_described_under_its_own_name(client: Client, composer: StandInComposer) -> None:
    alias, target = described(client, "rhel-9"), described(client, "rhel-9.8")
    assert (alias.pop("name"), target.pop("name")) == ("rhel-9", "rhel-9.8")
    assert alias == target
    assert alias["os_version"] == "9.8"


def test_a_caller_who_is_not_on_the_allow_list_gets_the_description(client: Client, composer: StandInComposer) -> None:
    refusal(client.get("/architectures/rhel-9-nightly"), 403)
    assert described(client, "rhel-9-nightly")["name"] == "rhel-9-nightly"


@pytest.mark.parametrize("name", ["no-such-one", "CENTOS-9", "centos-9%20", "%C3%A9"])
def test_a_distribution_that_does_not_exist_is_not_found(client: Client, composer: StandInComposer, name: str) -> None:
    refusal(client.get(f"/distributions/{name}"), 404)
    assert ASKED not in composer.counters()


def test_a_distribution_is_not_found_by_callers_without_its_entitlement(
    service: Service, composer: StandInComposer
) -> None:
    refusal(service.client(entitled=False).get("/distributions/rhel-9"), 404)
    assert described(service.client(entitled=False), "centos-9")["name"] == "centos-9"


def test_a_distribution_with_only_bootable_containers_is_refused(client: Client, composer: StandInComposer) -> None:
    detail = refusal(client.get("/distributions/hummingbird?image_type=guest-image&architecture=x86_64"), 400)
    assert detail == "distro: hummingbird is made of bootable containers only, it has no image types"
    assert ASKED not in composer.counters()


def test_a_failure_of_the_composer_is_reported(unspoiled: Service, composer: StandInComposer) -> None:
    composer.steer(require_token=True)
    refused = unspoiled.client().get("/distributions/centos-9")
    assert refusal(refused, 503) == "The composer gives no usable answer"
    assert refused.headers["Retry-After"]


def only_builds(visit: Visit) -> bool:
    """A composer that accepts builds, and closes the connection of every other request."""
    taken = visit.asked.path.endswith("/compose")
    return answer(201, {"id": str(uuid4())})(visit) if taken else close(visit)


def test_failed_descriptions_do_not_keep_builds_from_the_composer(module_database: Parameters) -> None:
    with Loopback(only_builds) as server, Service(module_database, server.url) as service:
        client = service.client()
        for _ in range(6):
            refusal(client.get("/distributions/centos-9"), 503)
            refusal(client.get("/packages?distribution=centos-9&architecture=x86_64&search=a"), 503)
        before = len(server.asked)
        refusal(client.get("/distributions/centos-9"), 503)
        assert len(server.asked) == before, "it is no use to ask any more"
        client.compose(compose_request())
