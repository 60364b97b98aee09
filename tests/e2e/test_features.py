"""GET /features agrees with the requests that the service accepts and refuses."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
import requests

from adapters.embedded.composer.process import StandInComposer
from adapters.embedded.platform.process import StandInPlatform
from tests.support.blueprints import blueprint
from tests.support.builders import compose_request
from tests.support.databases import Parameters
from tests.support.platform import service_with
from tests.support.refusals import refusal
from tests.support.service import Client, Service
from tests.support.unleash import TOKEN, Unleash

Json = dict[str, Any]
LARGEST_BODY = 600_000


@pytest.fixture(scope="module")
def service(
    module_database: Parameters, composer_process: StandInComposer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    allow_file = tmp_path_factory.mktemp("features") / "allow.json"
    allow_file.write_text(json.dumps({"insider": ["rhel-9-nightly", "fedora-3[78]"]}))
    environment = {"MAX_BODY_BYTES": str(LARGEST_BODY), "ALLOW_FILE": str(allow_file)}
    with Service(module_database, composer_process.url, environment=environment) as running:
        yield running


def told(client: Client) -> Json:
    answer = client.get("/features")
    assert answer.status_code == 200, answer.text
    document: Json = answer.json()
    return document


def accepted(answer: requests.Response, *, by_us: bool = False) -> bool:
    """Whether the request was accepted; an error must be the caller's. `by_us` ignores errors of the composer."""
    if answer.status_code == 201:
        return True
    detail = refusal(answer, {400, 403})
    return by_us and detail.startswith("Unsupported distribution: ")


# Image types and upload targets


def test_exactly_the_listed_pairs_of_image_type_and_target_are_accepted(client: Client) -> None:
    features = told(client)
    types, targets = features["image_types"], [each["name"] for each in features["upload_targets"]]
    pairs = {(each["name"], target) for each in types for target in each["upload_targets"]}
    assert pairs == {(name, each["name"]) for each in features["upload_targets"] for name in each["image_types"]}
    asked = [(each["name"], target) for each in types for target in targets]
    assert len(asked) > 50
    assert {pair for pair in asked if accepted(client.post("/compose", compose_request(*pair)))} == pairs


@pytest.mark.parametrize("field", ["image_type", "architecture"])
def test_an_unlisted_name_is_refused(client: Client, field: str) -> None:
    request = compose_request()
    request["image_requests"][0][field] = "tape"
    assert field in refusal(client.post("/compose", request), 400)


def test_an_image_of_the_listed_maximum_size_is_accepted_and_a_larger_one_is_refused(client: Client) -> None:
    for each in told(client)["image_types"]:
        image, target = each["name"], each["upload_targets"][0]
        largest = each["largest_size"]
        assert accepted(client.post("/compose", compose_request(image, target, image={"size": largest}))), image
        assert not accepted(client.post("/compose", compose_request(image, target, image={"size": largest + 1}))), image


# Distributions


def buildable(client: Client, distribution: str, architecture: str) -> bool:
    request = compose_request(distribution=distribution, image={"architecture": architecture})
    return accepted(client.post("/compose", request), by_us=True)


@pytest.mark.parametrize(("tenant", "entitled"), [("insider", True), ("insider", False), ("outsider", True)])
def test_exactly_the_distributions_and_architectures_listed_for_a_caller_are_accepted(
    service: Service, composer: StandInComposer, tenant: str, entitled: bool
) -> None:
    client = service.client(tenant, entitled=entitled)
    features = told(client)
    offered = {(each["name"], arch["arch"]) for each in features["distributions"] for arch in each["architectures"]}
    known = client.get("/openapi.json").json()["components"]["schemas"]["Distributions"]["enum"]
    asked = {(name, architecture) for name in known for architecture in features["architectures"]}
    assert offered < asked
    assert {pair for pair in asked if buildable(client, *pair)} == offered


def test_callers_who_do_not_see_a_distribution_lack_its_listed_requirement(service: Service) -> None:
    everything = told(service.client("insider"))["distributions"]
    assert {each["needs_entitlement"] for each in everything} == {each["needs_allow_list"] for each in everything}

    def names(client: Client) -> set[str]:
        return {each["name"] for each in told(client)["distributions"]}

    open_to_all = {each["name"] for each in everything if not each["needs_allow_list"]}
    assert names(service.client("outsider")) == open_to_all
    without = {each["name"] for each in everything if not each["needs_entitlement"]}
    assert names(service.client("insider", entitled=False)) == without


def test_a_distribution_lists_the_image_types_of_its_architectures(client: Client) -> None:
    (centos,) = (each for each in told(client)["distributions"] if each["name"] == "centos-9")
    offered = {each["arch"]: each["image_types"] for each in centos["architectures"]}
    assert offered == {each["arch"]: each["image_types"] for each in client.get("/architectures/centos-9").json()}


def test_image_types_of_bootable_containers_are_listed_separately(client: Client) -> None:
    (hummingbird,) = (each for each in told(client)["distributions"] if each["name"] == "hummingbird")
    listed = {each["type"] for each in client.get("/distributions?kind=bootc&distro=hummingbird").json()}
    (architecture,) = hummingbird["architectures"]
    assert (architecture["image_types"], set(architecture["bootc_image_types"])) == ([], listed)


# Customizations


def test_listed_customizations_are_validated_and_unlisted_ones_are_ignored(client: Client) -> None:
    customizations = told(client)["customizations"]
    assert len(customizations) > 20
    for name in customizations:
        answer = client.post("/compose", compose_request(customizations={name: 0.5}))
        assert refusal(answer, 400).startswith(f"customizations.{name}"), name
    assert accepted(client.post("/compose", compose_request(customizations={"not-told": 0.5})))


# Lengths


def at(document: Json, field: str, value: Any) -> Json:
    """The document with this value in a field such as `customizations.packages`."""
    *above, last = field.split(".")
    place = document
    for name in above:
        place = place.setdefault(name, {})
    place[last] = value
    return document


# How to reach the limits of some fields; tests/unit/test_request_limits.py reaches all of them without a service.
TEXTS = ("name", "description", "image_name", "image_description", "customizations.kernel.append")
LISTS: dict[str, Callable[[int], Any]] = {
    "image_requests": lambda number: compose_request(image={"size": number})["image_requests"][0],
    "customizations.packages": "p{}".format,
    "customizations.filesystem": lambda number: {"mountpoint": f"/srv/{number}", "min_size": 2**20},
    "customizations.files": lambda number: {"path": f"/etc/f{number}", "data": "x"},
    "customizations.users": lambda number: {"name": f"u{number}", "ssh_key": "k"},
    "customizations.services.enabled": "s{}".format,
    "customizations.firewall.ports": "{}:tcp".format,
}


@pytest.mark.parametrize(
    ("kind", "path", "plain"),
    [("compose", "/compose", compose_request), ("blueprint", "/blueprints", lambda: blueprint(uuid4().hex))],
)
def test_texts_and_lists_up_to_the_listed_length_are_accepted_and_longer_ones_refused(
    client: Client, kind: str, path: str, plain: Callable[[], Json]
) -> None:
    limits = told(client)["limits"][kind]
    texts = {field: "n".__mul__ for field in TEXTS if field in limits["texts"]}
    lists = {
        field: (lambda length, entry=entry: [entry(number) for number in range(length)])
        for field, entry in LISTS.items()
        if field in limits["lists"]
    }
    assert len(texts) == 3
    assert lists.keys() >= LISTS.keys() - {"image_requests"}
    for field, longest in {**texts, **lists}.items():
        most = {**limits["texts"], **limits["lists"]}[field]
        assert accepted(client.post(path, at(plain(), field, longest(most)))), field
        refused = client.post(path, at(plain(), field, longest(most + 1)))
        assert refusal(refused, 400).startswith(field), field


def test_parameters_up_to_the_listed_length_are_accepted_and_longer_ones_refused(client: Client) -> None:
    limits = told(client)["limits"]["parameters"]
    longest, most = limits["texts"]["search"], limits["lists"]["ignoreImageTypes"]
    assert client.get("/blueprints", params={"search": "s" * longest}).status_code == 200
    assert "search" in refusal(client.get("/blueprints", params={"search": "s" * (longest + 1)}), 400)
    assert client.get("/composes", params={"ignoreImageTypes": ["aws"] * most}).status_code == 200
    assert "ignoreImageTypes" in refusal(
        client.get("/composes", params={"ignoreImageTypes": ["aws"] * (most + 1)}), 400
    )


def test_image_names_in_a_cloud_up_to_the_listed_length_are_accepted_and_longer_ones_refused(client: Client) -> None:
    limited = {
        each["name"]: each for each in told(client)["upload_targets"] if each.get("longest_image_name") is not None
    }
    assert list(limited) == ["azure"]
    options = {"tenant_id": "t", "subscription_id": "s", "resource_group": "g"}
    for length, taken in ((limited["azure"]["longest_image_name"], True), (61, False)):
        request = compose_request("azure", "azure", image={"options": {**options, "image_name": "n" * length}})
        assert accepted(client.post("/compose", request)) is taken


def test_a_body_of_the_listed_size_is_accepted_and_a_larger_one_refused(client: Client) -> None:
    largest = told(client)["limits"]["body"]
    assert largest == LARGEST_BODY
    body = json.dumps(compose_request()).encode()
    headers = {"Content-Type": "application/json"}
    assert client.request("POST", "/compose", data=body.ljust(largest), headers=headers).status_code == 201
    refusal(client.request("POST", "/compose", data=body.ljust(largest + 1), headers=headers), 413)


def test_pages_of_the_listed_length_are_accepted_and_longer_ones_refused(client: Client) -> None:
    sizes = told(client)["limits"]["page_sizes"]
    assert {"/composes", "/blueprints", "/blueprints/{id}/composes"} <= set(sizes)
    of_blueprint = client.post("/blueprints", blueprint()).json()["id"]
    needed = {"/packages": "distribution=centos-9&architecture=x86_64&search=kernel&"}
    for template, size in sizes.items():
        list_ = f"{template.replace('{id}', of_blueprint)}?{needed.get(template, '')}"
        assert client.get(f"{list_}limit={size['largest']}").status_code == 200, template
        refusal(client.get(f"{list_}limit={size['largest'] + 1}"), 400)
        assert f"limit={size['default']}" in re.split("[?&]", client.get(list_).json()["links"]["first"]), template


# Back-ends


def test_without_settings_no_optional_back_end_is_listed(client: Client) -> None:
    features = told(client)
    assert set(features["back_ends"].values()) == {False}
    assert features["compliance_policies"] is False
    request = compose_request("aws", "aws", image={"options": {"share_with_sources": ["1"]}})
    assert "not set up here" in refusal(client.post("/compose", request), 503)


@pytest.mark.parametrize("flag", [True, False])
def test_configured_back_ends_are_listed_and_policies_follow_the_feature_flag(
    module_database: Parameters, composer: StandInComposer, platform: StandInPlatform, flag: bool
) -> None:
    with Unleash(compliance=flag) as unleash:
        flags = {"UNLEASH_URL": unleash.api_url, "UNLEASH_TOKEN": TOKEN}
        others = {"RECOMMENDATIONS_URL": "http://127.0.0.1:9"}
        with service_with(module_database, composer.url, platform, **flags, **others) as service:
            features = told(service.client())
    assert len(features["back_ends"]) == 5
    assert set(features["back_ends"].values()) == {True}
    assert features["compliance_policies"] is flag


# Operations


def test_operations_and_their_parameters_are_named(client: Client) -> None:
    operations = told(client)["operations"]
    assert {"status", "search", "sort", "cursor", "created_by"} <= set(operations["getComposes"])
    assert {"getComposeLogs", "getComposeSboms", "cancelCompose", "rerunCompose"} <= operations.keys()
    assert operations["getComposeSboms"] == ["purpose"]
