"""What is examined of a compose request without back-ends: any JSON, and requests of which parts have faults."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.compose.problems import Severity
from domain.compose.sound_parts import remove_parts
from domain.distributions import AllowList, Catalogue
from domain.identity import Identity
from image_builder.http.schemas import Checker
from image_builder.usecases.examine import Examined, ExamineRequests
from image_builder.usecases.prepare import Prepare
from tests.support.builders import compose_request
from tests.support.domain_builders import CONTENT, UPLOAD, a_distribution, a_repository, a_uuid, schemas

CALLER = Identity("000001")
REQUEST = compose_request(
    "aws",
    "aws",
    image={"size": 1024**3, "snapshot_date": "2026-01-31", "options": {"share_with_sources": ["1"]}},
    image_name="n",
    labels={"a": "b"},
    customizations={
        "packages": ["nginx"],
        "users": [{"name": "alice", "password": "secret", "groups": ["wheel"]}],
        "files": [{"path": "/etc/a", "data": "YQ==", "data_encoding": "base64"}],
        "payload_repositories": [{"baseurl": "https://a.example/", "rhsm": False}],
        "custom_repositories": [{"id": a_uuid(1), "baseurl": ["https://b.example/"]}],
        "filesystem": [{"mountpoint": "/var", "min_size": 1024**3}],
        "firewall": {"ports": ["22:tcp"]},
        "openscap": {"profile_id": "p"},
        "services": {"enabled": ["sshd"]},
        "hostname": "a.example",
    },
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@cache
def checker() -> Checker:
    return Checker(schemas()["ComposeRequest"], schemas())


def examine(document: Any) -> Examined:
    catalogue = Catalogue({"centos-9": a_distribution("centos-9", a_repository())}, AllowList())
    prepare = Prepare(catalogue, None, UPLOAD, CONTENT)  # type: ignore[arg-type]
    return ExamineRequests(prepare, checker().find_errors, checker().accept)(CALLER, document, None)


def list_places(value: Any, place: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    children: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        children = list(value.items())
    elif isinstance(value, list):
        children = list(enumerate(value))
    return [place, *(found for key, child in children for found in list_places(child, (*place, key)))]


def replaced(place: tuple[str | int, ...], value: Any) -> Any:
    document = copy.deepcopy(REQUEST)
    holder = document
    for key in place[:-1]:
        holder = holder[key]  # type: ignore[index]
    holder[place[-1]] = value  # type: ignore[index]
    return document


@given(st.dictionaries(st.sampled_from(sorted(REQUEST)), JSON))
def test_any_object_is_examined(document: dict[str, Any]) -> None:
    assert list(examine(document).problems) or checker().is_valid(document)


@given(st.sampled_from(list_places(REQUEST)[1:]), JSON)
def test_a_request_with_any_value_at_any_place_is_examined(place: tuple[str | int, ...], value: Any) -> None:
    document = replaced(place, value)
    examined = examine(document)
    assert examined.is_sound is not any(each.severity is Severity.ERROR for each in examined.problems)
    if not checker().is_valid(document):
        assert not examined.is_sound


def test_a_request_without_faults_is_sound() -> None:
    examined = examine(REQUEST)
    assert examined.problems == ()
    assert examined.context is not None
    assert examined.removed == frozenset()


@pytest.mark.parametrize(
    ("place", "value", "removed"),
    [
        (("customizations", "hostname"), 7, {"hostname"}),
        (("customizations", "users", 0, "name"), "-bad", {"users"}),
        (("customizations", "files", 0, "data"), "%", {"files"}),
        (("image_requests", 0, "size"), 100 * 1024**4, {"size"}),
        (("image_requests", 0, "snapshot_date"), "yesterday", {"snapshot_date"}),
        (("image_requests", 0, "upload_request", "options"), {}, {"upload_request"}),
        (("image_name",), 7, {"image_name"}),
    ],
)
def test_the_parts_with_faults_are_left_out_of_what_is_checked_further(
    place: tuple[str | int, ...], value: Any, removed: set[str]
) -> None:
    examined = examine(replaced(place, value))
    assert examined.context is not None
    assert examined.removed == removed
    assert examined.context.request.get_customization("packages") == ["nginx"]


@pytest.mark.parametrize(
    ("place", "value"),
    [(("distribution",), "fedora-1"), (("image_requests",), []), (("image_requests", 0, "architecture"), 7)],
)
def test_faults_of_needed_parts_leave_nothing_to_check_further(place: tuple[str | int, ...], value: Any) -> None:
    examined = examine(replaced(place, value))
    assert examined.context is None
    assert not examined.is_sound


def test_nothing_is_removed_for_faults_of_the_whole_request() -> None:
    assert remove_parts(REQUEST, ["", "distribution", "customizations"]) == (REQUEST, frozenset())
