"""Every osbuild blueprint is accepted and loses nothing, or is refused with a reason that names a key."""

from __future__ import annotations

import copy
import datetime
import os
from collections.abc import Mapping
from typing import Any, Final
from uuid import uuid4

import pytest
import requests
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from adapters.embedded.composer.process import StandInComposer
from tests.support.blueprints import exported, kept, listed, read
from tests.support.builders import image_request
from tests.support.osbuild_faults import FAULTS, UNBUILDABLE, Fault, faulty_blueprints
from tests.support.osbuild_meaning import (
    SECRETS,
    needs_a_blueprint,
    of_build,
    of_content,
    of_customizations,
    of_osbuild,
    without,
    without_defaults,
)
from tests.support.osbuild_reader import read_export, read_remarks
from tests.support.osbuild_vocabulary import blueprints, in_json
from tests.support.service import Client, Service
from tests.support.toml_writer import Form, write_toml
from tests.support.waiting import PATIENCE

Json = dict[str, Any]

TOML: Final = "application/toml"
# What the file may leave out.
FALLBACKS: Final = "?distribution=centos-9&image_type=guest-image"
LONG: Final = bool(os.environ.get("TEST_LONG"))

often = settings(
    deadline=None,
    max_examples=400 if LONG else 30,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    print_blob=True,
)
forms = st.sampled_from(Form)


def somebody(service: Service) -> Client:
    """A user of an organization without blueprints."""
    return service.client(uuid4().hex)


def post(client: Client, text: str, query: str = FALLBACKS) -> requests.Response:
    return client.request("POST", f"/blueprints{query}", data=text.encode(), headers={"Content-Type": TOML})


def pushed(client: Client, text: str, query: str = FALLBACKS) -> str:
    """The id of a blueprint in TOML that must be accepted."""
    answer = post(client, text, query)
    assert answer.status_code == 201, f"{answer.text}\n{text}"
    return str(answer.json()["id"])


def as_toml(client: Client, blueprint_id: str) -> str:
    answer = client.get(f"/blueprints/{blueprint_id}/export", headers={"Accept": TOML})
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, TOML), answer.text
    return answer.content.decode()


def meaning_of(document: Mapping[str, Any]) -> Json:
    """What the document says, with what the query supplies."""
    return of_osbuild({**document, "distro": document.get("distro") or "centos-9"})


def meaning_of_stored(found: Mapping[str, Any]) -> Json:
    """What a blueprint says as it is read or exported, which is not what it is called."""
    return of_customizations(found["customizations"])


# Accepted, and lossless


@often
@given(document=blueprints(), form=forms)
def test_what_osbuild_reads_is_accepted_and_read_back(service: Service, document: Json, form: Form) -> None:
    client = somebody(service)
    found = read(client, pushed(client, write_toml(document, form)))
    wanted = meaning_of(document)
    assert meaning_of_stored(found) == without(of_content(wanted), "password")
    assert (found["name"], found["description"]) == (document["name"], document.get("description", ""))
    assert found["distribution"] == wanted["distribution"]
    (image,) = found["image_requests"]
    assert image["architecture"] == wanted["architecture"]
    assert {user["name"] for user in found["customizations"].get("users", ()) if user["hasPassword"]} == {
        name for name, user in wanted.get("users", {}).items() if "password" in user
    }


@often
@given(document=blueprints(), form=forms)
def test_toml_comes_back_with_the_same_meaning(service: Service, document: Json, form: Form) -> None:
    first, second = somebody(service), somebody(service)
    text = as_toml(first, pushed(first, write_toml(document, form)))
    wanted = meaning_of(document)
    assert of_osbuild(read_export(text)) == without(wanted, *SECRETS), text
    remarks = read_remarks(text)
    assert "image_requests" in remarks
    assert "cacerts" in remarks or "cacerts" not in wanted.get("customizations", {}), remarks
    assert "password" in remarks or not any("password" in user for user in wanted.get("users", {}).values()), remarks
    again = as_toml(second, pushed(second, text))
    assert read_export(again) == read_export(text)


@often
@given(document=blueprints())
def test_json_comes_back_with_the_same_meaning(platform_service: Service, document: Json) -> None:
    # An export in JSON asks content sources about custom repositories.
    first, second = somebody(platform_service), somebody(platform_service)
    wanted = without(of_content(meaning_of(document)), *SECRETS)
    text = exported(first, kept(first, {**in_json(document), "image_requests": [image_request()]}))
    assert meaning_of_stored(text) == wanted
    answer = second.post("/blueprints?image_type=guest-image&distribution=centos-9", text)
    assert answer.status_code == 201, answer.text
    again = exported(second, answer.json()["id"])
    assert again["metadata"].pop("parent_id") == answer.json()["id"]
    for each in (text, again):
        for name in ("exported_at", "parent_id", "redacted"):
            each["metadata"].pop(name, None)
        for user in each["customizations"].get("users", ()):
            del user["hasPassword"]
    assert again == text | {"distribution": text.get("distribution", "centos-9")}


@often
@given(document=blueprints())
def test_toml_and_json_are_stored_alike(service: Service, document: Json) -> None:
    client = somebody(service)
    in_toml = read(client, pushed(client, write_toml(document)))
    body = in_json(document)
    other = read(client, kept(client, {**body, "name": f"{body['name']}2", "image_requests": [image_request()]}))
    assert meaning_of_stored(in_toml) == meaning_of_stored(other)


@often
@given(document=blueprints(), form=forms)
def test_a_file_that_is_pushed_again_adds_no_version(service: Service, document: Json, form: Form) -> None:
    client, text = somebody(service), write_toml(document, form)
    query = f"{FALLBACKS}&on_conflict=update"
    blueprint_id = pushed(client, text, query)
    again = post(client, text, query)
    assert (again.status_code, again.json()) == (200, {"id": blueprint_id})
    (item,) = listed(client)["data"]
    assert item["version"] == 1
    changed = {**document, "packages": [*document.get("packages", ()), {"name": "added-by-the-change"}]}
    assert post(client, write_toml(changed, form), query).status_code == 200
    (item,) = listed(client)["data"]
    assert (item["id"], item["version"]) == (blueprint_id, 2)


# Built


@often
@given(document=blueprints())
def test_the_composer_gets_what_the_file_says(
    service: Service, composer_process: StandInComposer, document: Json
) -> None:
    client = somebody(service)
    wanted = meaning_of(document)
    blueprint_id = pushed(client, write_toml(document))
    only_in_a_blueprint = needs_a_blueprint(wanted)
    event(f"blueprint: {bool(only_in_a_blueprint)}")
    answer = client.post(f"/blueprints/{blueprint_id}/compose")
    if only_in_a_blueprint and any("ensure_parents" in file for file in files_of(wanted)):
        assert answer.status_code == 400, answer.text
        assert "ensure_parents" in answer.text
        assert any(path.rpartition(".")[2].removesuffix("[]") in answer.text for path in only_in_a_blueprint)
        return
    assert answer.status_code == 201, answer.text
    (build,) = answer.json()
    metadata = requests.get(f"{composer_process.api_url}/composes/{build['id']}/metadata", timeout=PATIENCE).json()
    request = metadata["request"]
    assert ("blueprint" in request) is bool(only_in_a_blueprint)
    assert not ({"blueprint", "customizations"} <= request.keys())
    assert without_defaults(of_build(request)) == without_defaults(of_content(wanted))
    assert (request["distribution"], request["image_request"]["architecture"]) == (
        wanted["distribution"],
        wanted["architecture"],
    )
    if "blueprint" in request:
        assert request["blueprint"]["name"] == document["name"]
        assert "distro" not in request["blueprint"]


def files_of(meaning: Mapping[str, Any]) -> list[Json]:
    return list(meaning.get("customizations", {}).get("files", {}).values())


# Refused


def assert_refused(client: Client, text: str, fault: Fault) -> None:
    answer = post(client, text)
    assert answer.status_code in {400, 422}, f"{fault.name}: {answer.status_code} {answer.text}"
    said = " ".join(error["detail"] for error in answer.json()["errors"])
    for word in fault.words:
        # A long value may be cut.
        assert word[:30] in said, f"{fault.name}: {said}"
    assert listed(client)["data"] == []


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_a_fault_is_named_and_nothing_is_stored(client: Client, fault: Fault) -> None:
    document: Json = {"name": "faulty"}
    fault.plant(document)
    assert_refused(client, write_toml(document), fault)


@often
@given(found=faulty_blueprints(), form=forms)
def test_a_fault_is_named_in_any_blueprint(service: Service, found: tuple[Json, Fault], form: Form) -> None:
    document, fault = found
    event(fault.name)
    assert_refused(somebody(service), write_toml(document, form), fault)


def test_what_cannot_be_built_is_listed_completely_and_is_not_called_unknown(client: Client) -> None:
    document: Json = {"name": "too much"}
    for fault in UNBUILDABLE:
        before = copy.deepcopy(document.get("customizations", {}))
        fault.plant(document)
        for key, value in before.items():
            if isinstance(value, dict):
                document["customizations"][key] = {**value, **document["customizations"][key]}
    answer = post(client, write_toml(document))
    assert answer.status_code == 400, answer.text
    for fault in UNBUILDABLE:
        assert all(word in answer.text for word in fault.words), answer.text
    assert "build" in answer.text
    assert "nsupported field" not in answer.text
    assert "unknown" not in answer.text.lower()


odd_values = (
    st.booleans()
    | st.integers(-(2**64), 2**64)
    | st.floats()
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
    | st.dates()
    | st.just([])
    | st.just({})
    | st.lists(st.integers(), min_size=1, max_size=2)
    | st.just([{"name": "x"}])
    | st.just({"x": {"y": []}})
    | st.just("x" * 5_000)
)


@st.composite
def spoiled_blueprints(draw: st.DrawFn) -> tuple[Json, list[str]]:
    """A blueprint in which one value is another one, and the names of the keys above it and its own."""
    document = copy.deepcopy(draw(blueprints()))
    above: Any = document
    names: list[str] = []
    while True:
        key = draw(st.sampled_from(list(above) if isinstance(above, dict) else range(len(above))))
        names += [key] if isinstance(key, str) and key != "customizations" else []
        inner = above[key]
        if not isinstance(inner, dict | list) or not inner or draw(st.integers(0, 3)) == 0:
            break
        above = inner
    above[key] = draw(odd_values)
    return document, names or ["customizations"]


def letters(text: str) -> str:
    """The text without what differs between the names in TOML and in JSON."""
    return text.replace("_", "").replace("-", "")


@settings(often, max_examples=2_000 if LONG else 100)
@given(found=spoiled_blueprints(), form=forms)
def test_any_value_is_accepted_or_refused_by_its_key(
    service: Service, found: tuple[Json, list[str]], form: Form
) -> None:
    document, names = found
    client, text = somebody(service), write_toml(document, form)
    answer = post(client, text)
    event(str(answer.status_code))
    assert answer.status_code in {201, 400, 422}, f"{answer.text}\n{text}"
    if answer.status_code == 201:
        read_export(as_toml(client, answer.json()["id"]))
    else:
        assert any(letters(name) in letters(answer.text) for name in names), f"{names} {answer.text}\n{text}"
        assert listed(client)["data"] == []


def test_a_spoiled_blueprint_may_hold_a_date(client: Client) -> None:
    answer = post(client, write_toml({"name": "dated", "customizations": {"hostname": datetime.date(2026, 1, 1)}}))
    assert answer.status_code == 400
    assert "hostname" in answer.text
