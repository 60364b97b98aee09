"""The version of a blueprint as its entity tag, which prevents overwriting a concurrent change."""

from __future__ import annotations

import pytest

from tests.support.blueprints import blueprint, changed, kept, listed, put, read
from tests.support.refusals import refusal
from tests.support.service import Client


@pytest.fixture
def at_version_2(client: Client) -> str:
    """The id of a blueprint at version 2."""
    blueprint_id = kept(client)
    changed(client, blueprint_id, blueprint())
    return blueprint_id


@pytest.mark.parametrize(("query", "tag"), [("", '"2"'), ("?version=-1", '"2"'), ("?version=1", '"1"')])
def test_the_returned_version_is_the_strong_entity_tag(client: Client, at_version_2: str, query: str, tag: str) -> None:
    assert client.get(f"/blueprints/{at_version_2}{query}").headers["ETag"] == tag


@pytest.mark.parametrize("tag", ['"2"', "*", '"1", "2"', '"x","2"', '"2" ', '"1" ,"2"'])
def test_the_current_tag_allows_change_and_deletion(client: Client, at_version_2: str, tag: str) -> None:
    assert put(client, at_version_2, blueprint("new"), tag).status_code == 200
    assert read(client, at_version_2)["name"] == "new"
    answer = client.delete(f"/blueprints/{at_version_2}", headers={"If-Match": tag.replace("2", "3")})
    assert answer.status_code == 204


@pytest.mark.parametrize("tag", ['"1"', '"3"', '"1", "3"', 'W/"2"', '"02"', '"x"', '""', '"' + "9" * 40 + '"'])
def test_any_other_tag_prevents_change_and_deletion(client: Client, at_version_2: str, tag: str) -> None:
    refusal(put(client, at_version_2, blueprint("lost"), tag), 412)
    refusal(client.delete(f"/blueprints/{at_version_2}", headers={"If-Match": tag}), 412)
    (item,) = listed(client)["data"]
    assert (item["name"], item["version"]) == ("web", 2)


@pytest.mark.parametrize("tag", ["2", '"2', "2,3", '"2" "3"'])
def test_an_invalid_tag_is_refused(client: Client, at_version_2: str, tag: str) -> None:
    assert "If-Match" in refusal(put(client, at_version_2, blueprint("lost"), tag), 400)
    assert "If-Match" in refusal(client.delete(f"/blueprints/{at_version_2}", headers={"If-Match": tag}), 400)
    assert read(client, at_version_2)["name"] == "web"


@pytest.mark.parametrize("header", ["If-None-Match", "If-Modified-Since"])
def test_reading_never_answers_304(client: Client, at_version_2: str, header: str) -> None:
    value = {"If-None-Match": '"2"', "If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"}[header]
    answer = client.get(f"/blueprints/{at_version_2}", headers={header: value})
    assert (answer.status_code, answer.json()["name"]) == (200, "web")


def test_a_tag_allows_only_one_change(client: Client, at_version_2: str) -> None:
    tag = client.get(f"/blueprints/{at_version_2}").headers["ETag"]
    assert put(client, at_version_2, blueprint("first"), tag).status_code == 200
    refusal(put(client, at_version_2, blueprint("second"), tag), 412)
    assert read(client, at_version_2)["name"] == "first"
