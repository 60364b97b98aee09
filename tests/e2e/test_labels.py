"""Labels of builds and blueprints, against the running service."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit
from uuid import uuid4

import pytest
import requests

from adapters.embedded.composer.process import StandInComposer
from tests.support.blueprints import blueprint, changed, kept, put, read
from tests.support.blueprints import listed as listed_blueprints
from tests.support.builders import compose_request, image_request
from tests.support.composes import listed, status_of
from tests.support.databases import Parameters, session
from tests.support.refusals import refusal
from tests.support.rows import insert_compose, stored_row
from tests.support.service import Client, Service

LABELS = {"team": "web", "cost-center/eu": "4711", "nightly": ""}
# Values that are unusual but allowed, and equal to nothing but themselves.
ODD_VALUES = (
    "a:b",
    "two\nlines",
    "\r\n",
    "\t",
    " ",
    "%",
    "_",
    "\\",
    '"',
    "{}",
    "ß",
    "\u00e9",
    "e\u0301",
    "\U0001f4a9" * 255,
)
ODD_VALUES += ("\u202e", "\u2028", "\ufeff", "\x01", "\x7f", "null")
LONGEST_KEY = "k" * 63
JSON = {"Content-Type": "application/json"}


def put_labels(client: Client, compose_id: object, labels: Any) -> requests.Response:
    return client.request("PUT", f"/composes/{compose_id}/labels", json={"labels": labels})


def relabel(client: Client, compose_id: object, labels: dict[str, str]) -> None:
    answer = put_labels(client, compose_id, labels)
    assert (answer.status_code, answer.json()) == (200, {"labels": labels})


def labels_of(client: Client, compose_id: object) -> dict[str, str] | None:
    """The labels of a build, which its answer and its item in the list must agree on; None where both have none."""
    (item,) = (item for item in listed(client)["data"] if item["id"] == str(compose_id))
    labels = status_of(client, compose_id).get("labels")
    assert item.get("labels") == labels
    return labels


def found(client: Client, *labels: str, path: str = "/composes", more: str = "") -> list[str]:
    """The ids of the builds that the filter finds, and counts."""
    answer = client.get(f"{path}?{'&'.join(f'label={quote(label)}' for label in labels)}{more}")
    assert answer.status_code == 200, answer.text
    page = answer.json()
    assert page["meta"]["count"] == len(page["data"])
    return [item["id"] for item in page["data"]]


def test_a_build_has_the_labels_that_its_request_gives(
    client: Client, tenant: str, module_database: Parameters
) -> None:
    compose_id = client.compose(compose_request(labels=LABELS))
    assert labels_of(client, compose_id) == LABELS
    assert "labels" not in status_of(client, compose_id)["request"]
    assert "labels" not in stored_row(module_database, compose_id)["request"]
    assert labels_of(client, client.compose(compose_request())) is None
    assert labels_of(client, client.compose(compose_request(labels={}))) is None


def test_labels_of_a_build_are_replaced_and_removed(client: Client) -> None:
    compose_id = client.compose(compose_request(labels=LABELS))
    relabel(client, compose_id, {"team": "db"})
    assert labels_of(client, compose_id) == {"team": "db"}
    assert (found(client, "team:db"), found(client, "team:web"), found(client, "nightly")) == ([compose_id], [], [])
    relabel(client, compose_id, {})
    assert labels_of(client, compose_id) is None
    assert found(client, "team") == []


def test_builds_of_the_go_service_can_be_labelled(client: Client, tenant: str, module_database: Parameters) -> None:
    compose_id = str(insert_compose(module_database, tenant))
    relabel(client, compose_id, LABELS)
    assert found(client, "team:web") == [compose_id]
    (item,) = listed(client)["data"]
    assert item["labels"] == LABELS


def test_builds_that_the_caller_does_not_see_cannot_be_labelled(
    client: Client, service: Service, tenant: str, module_database: Parameters
) -> None:
    compose_id = client.compose(compose_request(labels=LABELS))
    refusal(put_labels(service.client(uuid4().hex), compose_id, {"team": "theirs"}), 404)
    refusal(put_labels(client, uuid4(), {}), 404)
    assert labels_of(client, compose_id) == LABELS
    assert client.delete(f"/composes/{compose_id}").status_code == 200
    refusal(put_labels(client, compose_id, {}), 404)
    assert found(client, "team") == []


def test_labels_may_be_as_long_and_as_many_as_the_contract_says(client: Client) -> None:
    labels = {f"{number:063}": "\U0001f4a9" * 255 for number in range(30)}
    compose_id = client.compose(compose_request(labels=labels))
    assert labels_of(client, compose_id) == labels
    assert found(client, *(f"{key}:{value}" for key, value in list(labels.items())[:5])) == [compose_id]
    assert found(client, *list(labels)[-10:]) == [compose_id]


@pytest.mark.parametrize("value", ODD_VALUES, ids=ascii)
def test_a_value_of_any_text_is_kept_and_found_as_it_is(client: Client, value: str) -> None:
    compose_id, other = client.compose(compose_request(labels={"odd": value})), client.compose(compose_request())
    relabel(client, other, {"odd": f"{value[:254]}x"})
    assert labels_of(client, compose_id) == {"odd": value}
    assert found(client, f"odd:{value}") == [compose_id]
    assert found(client, "odd", f"odd:{value}") == [compose_id]
    assert found(client, "odd") == [other, compose_id]


# What is refused, wherever labels are given

MANY = {f"k{number}": "" for number in range(31)}
REFUSED = {
    "31 labels": json.dumps(MANY),
    "an empty key": '{"": "x"}',
    "a key with a space": '{"a key": "x"}',
    "a key with a colon": '{"a:b": "x"}',
    "a key with a line break": '{"a\\n": "x"}',
    "a key that is not ASCII": '{"clé": "x"}',
    "a key with a digit that is not ASCII": '{"k\u0663": "x"}',
    "a key with NUL": '{"a\\u0000": "x"}',
    "a key of 64 characters": json.dumps({"k" * 64: "x"}),
    "a value of 256 characters": json.dumps({"key": "x" * 256}),
    "a value with NUL": '{"key": "a\\u0000b"}',
    "a value with half a character": '{"key": "\\ud800"}',
    "a number": '{"key": 1}',
    "a null": '{"key": null}',
    "a list as a value": '{"key": ["x"]}',
    "a key given twice": '{"key": "x", "other": "y", "key": "x"}',
    "a key given twice in two spellings": '{"key": "x", "\\u006bey": "y"}',
    "a list": '["key"]',
    "a text": '"key"',
    "nothing": "null",
}


def with_labels(document: dict[str, Any], labels: str) -> str:
    return json.dumps({**document, "labels": "HERE"}).replace('"HERE"', labels)


@pytest.mark.parametrize("labels", REFUSED.values(), ids=REFUSED)
def test_labels_that_cannot_be_are_refused_everywhere(client: Client, labels: str) -> None:
    compose_id, blueprint_id = client.compose(compose_request()), kept(client, name=uuid4().hex)
    requests_ = {
        ("POST", "/compose"): with_labels(compose_request(), labels),
        ("PUT", f"/composes/{compose_id}/labels"): with_labels({}, labels),
        ("POST", "/blueprints"): with_labels(blueprint(uuid4().hex), labels),
        ("POST", "/blueprints?on_conflict=update"): with_labels(blueprint(uuid4().hex), labels),
        ("PUT", f"/blueprints/{blueprint_id}"): with_labels(blueprint(uuid4().hex), labels),
        ("POST", f"/blueprints/{blueprint_id}/compose"): with_labels({}, labels),
    }
    for (method, path), body in requests_.items():
        detail = refusal(client.request(method, path, data=body.encode(), headers=JSON), 400)
        assert any(word in detail for word in ("labels", "NUL", "not JSON")), (path, detail)
    assert [item["id"] for item in listed(client)["data"]] == [compose_id]
    assert labels_of(client, compose_id) is None
    assert listed_blueprints(client)["meta"]["count"] == 1
    assert "labels" not in read(client, blueprint_id)


def test_refusals_name_the_label_and_what_is_allowed(client: Client) -> None:
    def detail(labels: str) -> str:
        body = with_labels(compose_request(), labels).encode()
        return refusal(client.request("POST", "/compose", data=body, headers=JSON), 400)

    assert detail('{"key": "x", "key": "y"}') == "labels: the key 'key' is given twice"
    assert detail('{"a": "x"}, "labels": {"b": "y"}') == "labels: given twice"
    assert "30" in detail(json.dumps(MANY))
    assert detail('{"a key": ""}').startswith("labels: 'a key' is no key; a key has 1 to 63 letters")
    assert detail(json.dumps({"key": "x" * 256})).startswith("labels.key: ")
    assert "255" in detail(json.dumps({"key": "x" * 256}))
    assert detail('{"key": 1}') == 'labels.key: the value is not of type "string"'


def test_the_body_of_a_labelling_has_labels(client: Client) -> None:
    compose_id = client.compose(compose_request(labels=LABELS))
    for body in ("{}", "[]", "", '{"team": "web"}'):
        refusal(client.request("PUT", f"/composes/{compose_id}/labels", data=body, headers=JSON), 400)
    refusal(client.request("PUT", f"/composes/{compose_id}/labels", data="{}"), 415)
    assert labels_of(client, compose_id) == LABELS


def test_a_deeply_nested_body_with_labels_is_refused(client: Client) -> None:
    body = f'{{"labels": {"[" * 900}{"]" * 900}}}'
    compose_id = client.compose(compose_request())
    refusal(client.request("PUT", f"/composes/{compose_id}/labels", data=body, headers=JSON), 400)


# Filters


def test_all_labels_of_a_filter_must_match(client: Client) -> None:
    both = client.compose(compose_request(labels={"team": "web", "stage": "prod"}))
    web = client.compose(compose_request(labels={"team": "web", "stage": "test"}))
    none = client.compose(compose_request())
    assert found(client) == [none, web, both]
    assert found(client, "team") == found(client, "team:web") == found(client, "team:web", "stage") == [web, both]
    assert found(client, "team:web", "stage:prod") == found(client, "stage:prod", "stage:prod") == [both]
    assert found(client, "stage:prod", "stage:test") == []
    assert found(client, "Team") == found(client, "team:Web") == found(client, "team:we") == []
    assert found(client, "team:") == found(client, "te") == found(client, "web") == []


def test_labels_are_combined_with_other_filters_orders_and_cursors(client: Client) -> None:
    made = [
        client.compose(compose_request(image_name=f"{'abcdef'[number]}", labels={"n": str(number % 2), "all": "x"}))
        for number in range(6)
    ]
    client.compose(compose_request(image_name="other"))
    for query, expected in {
        "label=n:0": made[4::-2],
        "label=n:0&label=all&sort=created_at": made[0::2],
        "label=all:x&sort=image_name": made,
        "label=n:1&sort=-image_name&search=F": made[5:],
        "label=all&client_id=api&image_type=guest-image&architecture=x86_64&created_by=u": made[::-1],
        "label=all&ignoreImageTypes=guest-image": [],
    }.items():
        page = listed(client, f"?limit=2&{query}")
        seen = [[item["id"] for item in page["data"]]]
        while "next" in page["links"]:
            repeated = parse_qs(urlsplit(page["links"]["next"]).query)
            assert repeated.pop("cursor")
            assert repeated == {**parse_qs(query), "limit": ["2"]}
            page = client.get(page["links"]["next"], base="").json()
            assert page["meta"]["count"] == len(expected)
            seen.append([item["id"] for item in page["data"]])
        assert [each for part in seen for each in part] == expected, query
        while "prev" in page["links"]:
            seen.pop()
            page = client.get(page["links"]["prev"], base="").json()
            assert [item["id"] for item in page["data"]] == seen[-1]
        assert len(seen) == 1


def test_links_repeat_labels_as_they_were_given(client: Client) -> None:
    query = "label=team:two%0Alines&label=nightly&limit=1"
    for link in listed(client, f"?{query}")["links"].values():
        assert parse_qs(urlsplit(link).query)["label"] == ["team:two\nlines", "nightly"]


def test_builds_of_another_organization_are_not_found(client: Client, service: Service) -> None:
    service.client(uuid4().hex).compose(compose_request(labels=LABELS))
    assert found(client, "team:web") == []


# Blueprints


def blueprint_labels(client: Client, blueprint_id: str, name: str) -> dict[str, str] | None:
    """The labels of a blueprint, which its answer and its item in each list must agree on."""
    labels = read(client, blueprint_id).get("labels")
    for query in (f"?name={name}", f"?search={name}", f"?search={name}&sort=name"):
        (item,) = listed_blueprints(client, query)["data"]
        assert item.get("labels") == labels
    return labels


def test_labels_of_a_blueprint_are_kept_replaced_and_removed_with_it(
    client: Client, module_database: Parameters
) -> None:
    name = uuid4().hex
    blueprint_id = kept(client, name=name, labels=LABELS)
    assert blueprint_labels(client, blueprint_id, name) == LABELS
    changed(client, blueprint_id, blueprint(name, description="without labels"))
    assert blueprint_labels(client, blueprint_id, name) == LABELS
    changed(client, blueprint_id, blueprint(name, labels={"team": "db"}))
    assert blueprint_labels(client, blueprint_id, name) == {"team": "db"}
    assert read(client, blueprint_id, "?version=1")["labels"] == {"team": "db"}
    changed(client, blueprint_id, blueprint(name, labels={}))
    assert blueprint_labels(client, blueprint_id, name) is None
    with session(module_database) as connection:
        rows = connection.execute("SELECT body FROM blueprint_versions WHERE blueprint_id = %s", (blueprint_id,))
        assert all("labels" not in body for (body,) in rows)


def test_a_refused_change_of_a_blueprint_keeps_its_labels(client: Client) -> None:
    taken, name = uuid4().hex, uuid4().hex
    kept(client, name=taken)
    blueprint_id = kept(client, name=name, labels=LABELS)
    assert put(client, blueprint_id, blueprint(taken, labels={"team": "db"})).status_code == 422
    assert put(client, blueprint_id, blueprint(name, labels={"team": "db"}), '"7"').status_code == 412
    assert blueprint_labels(client, blueprint_id, name) == LABELS


def test_an_answer_of_a_blueprint_can_be_sent_back(client: Client) -> None:
    blueprint_id = kept(client, name=uuid4().hex, labels=LABELS)
    document = {name: value for name, value in read(client, blueprint_id).items() if name not in {"id", "lint"}}
    changed(client, blueprint_id, document)
    assert read(client, blueprint_id)["labels"] == LABELS


def test_a_file_in_toml_and_a_fixup_keep_the_labels(client: Client) -> None:
    name = uuid4().hex
    blueprint_id = kept(client, name=name, labels=LABELS)
    toml = f'name = "{name}"\ndistro = "centos-9"\n'
    answer = client.request(
        "PUT", f"/blueprints/{blueprint_id}", data=toml, headers={"Content-Type": "application/toml"}
    )
    assert answer.status_code == 200, answer.text
    assert client.post(f"/experimental/blueprints/{blueprint_id}/fixup").status_code == 200
    assert read(client, blueprint_id)["labels"] == LABELS


def test_saving_a_blueprint_again_with_other_labels_is_a_change(client: Client) -> None:
    document = blueprint(uuid4().hex, labels=LABELS)

    def saved(document: dict[str, Any]) -> str | None:
        return client.post("/blueprints?on_conflict=update", document).headers["ETag"]

    assert saved(document) == saved(document) == saved({**document, "labels": None} | {"labels": LABELS}) == '"1"'
    assert saved({name: value for name, value in document.items() if name != "labels"}) == '"1"'
    assert saved({**document, "labels": {"team": "db"}}) == '"2"'
    (item,) = listed_blueprints(client)["data"]
    assert item["labels"] == {"team": "db"}


def test_an_export_has_no_labels(client: Client) -> None:
    blueprint_id = kept(client, name=uuid4().hex, labels=LABELS)
    export = client.get(f"/blueprints/{blueprint_id}/export")
    assert "labels" not in export.json()
    toml = client.get(f"/blueprints/{blueprint_id}/export", headers={"Accept": "application/toml"})
    assert "4711" not in toml.text


def test_builds_of_a_blueprint_get_the_labels_that_it_has_at_their_start(client: Client) -> None:
    name = uuid4().hex
    document = blueprint(name, image_request(), image_request("vsphere"), labels={"team": "web", "stage": "test"})
    blueprint_id = kept(client, document)
    path = f"/blueprints/{blueprint_id}/compose"
    early = [each["id"] for each in client.post(path).json()]
    changed(client, blueprint_id, {**document, "labels": {"team": "db"}})
    (late,) = client.post(path, {"image_types": ["vsphere"], "labels": {"stage": "prod", "team": "dba"}}).json()
    assert [labels_of(client, each) for each in early] == [{"team": "web", "stage": "test"}] * 2
    assert labels_of(client, late["id"]) == {"team": "dba", "stage": "prod"}
    assert read(client, blueprint_id)["labels"] == {"team": "db"}
    builds = f"/blueprints/{blueprint_id}/composes"
    assert set(found(client, "team:web", path=builds)) == set(early)  # they are recorded in any order
    assert set(found(client, "stage", path=builds)) == {*early, late["id"]}
    assert found(client, "stage:prod", path=builds, more="&blueprint_version=2") == [late["id"]]


def test_a_build_with_more_than_30_labels_of_request_and_blueprint_is_refused(client: Client) -> None:
    blueprint_id = kept(client, name=uuid4().hex, labels={f"k{number}": "" for number in range(29)})
    path = f"/blueprints/{blueprint_id}/compose"
    assert "31 labels" in refusal(client.post(path, {"labels": {"a": "", "b": ""}}), 400)
    assert client.post(path, {"labels": {"a": "", "k1": "x"}}).status_code == 201
    assert listed(client)["meta"]["count"] == 1


def test_a_rerun_copies_the_present_labels(client: Client) -> None:
    compose_id = client.compose(compose_request(labels=LABELS))
    relabel(client, compose_id, {"team": "db"})
    answer = client.post(f"/composes/{compose_id}/rerun")
    assert answer.status_code == 201, answer.text
    assert labels_of(client, answer.json()["id"]) == {"team": "db"}
    relabel(client, compose_id, {})
    assert labels_of(client, client.post(f"/composes/{compose_id}/rerun").json()["id"]) is None


# Idempotency-Key


def test_a_repeated_request_with_other_labels_is_another_request(client: Client, composer: StandInComposer) -> None:
    blueprint_id = kept(client, name=uuid4().hex)
    for path, document in {
        "/compose": compose_request(),
        f"/blueprints/{blueprint_id}/compose": {},
        "/blueprints": blueprint(uuid4().hex),
    }.items():
        headers = {"Idempotency-Key": uuid4().hex}
        first = client.post(path, {**document, "labels": {"a": "1", "b": "2"}}, headers=headers)
        again = client.post(path, {**document, "labels": {"b": "2", "a": "1"}}, headers=headers)
        assert (first.status_code, again.status_code, again.json()) == (201, 201, first.json())
        for labels in ({"a": "1"}, {"a": "1", "b": "3"}, {}):
            assert client.post(path, {**document, "labels": labels}, headers=headers).status_code == 422
