"""Which labels a build or a blueprint may have, and which a build of a blueprint gets."""

from __future__ import annotations

import pytest

from domain.blueprints.blueprint import Version
from domain.blueprints.composing import create_compose_requests
from domain.compose.request import parse_compose_request
from domain.errors import InvalidRequestError
from domain.labels import MAX_LABELS, Labels, check_labels, merge_labels
from tests.support.blueprint_documents import a_blueprint
from tests.support.builders import compose_request, image_request


@pytest.mark.parametrize(
    "labels",
    [
        {},
        {"k" * 63: "v" * 255},
        {"A-z_0.9/x": ""},
        {"/": "a:b", "-": "\n", ".": "\U0001f4a9" * 255},
        {str(number): "" for number in range(MAX_LABELS)},
    ],
)
def test_labels_are_allowed(labels: Labels) -> None:
    check_labels(labels)


@pytest.mark.parametrize(
    ("labels", "named"),
    [
        ({"": ""}, "''"),
        ({"k" * 64: ""}, "kkk"),
        ({"a b": ""}, "'a b'"),
        ({"a:b": ""}, "'a:b'"),
        ({"key\n": ""}, r"'key\n'"),
        ({"é": ""}, "'é'"),
        ({"key": "v" * 256}, "labels.key: "),
        ({"key": "\0"}, "labels.key: "),
        ({str(number): "" for number in range(31)}, "at most 30 labels, not 31"),
    ],
)
def test_other_labels_are_refused_by_name(labels: Labels, named: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        check_labels(labels)
    assert named in refused.value.detail
    assert len(refused.value.detail) < 300


def test_labels_of_a_request_are_checked() -> None:
    document = {**compose_request(), "client_id": "api"}
    assert parse_compose_request({**document, "labels": {"team": "web"}}).labels == {"team": "web"}
    assert parse_compose_request(document).labels == {}
    with pytest.raises(InvalidRequestError, match="is no key"):
        parse_compose_request({**document, "labels": {"a key": ""}})


def test_labels_of_a_request_win_over_those_of_the_blueprint() -> None:
    assert merge_labels({"a": "1", "b": "1"}, {"b": "2", "c": "2"}) == {"a": "1", "b": "2", "c": "2"}
    many = {str(number): "" for number in range(MAX_LABELS)}
    assert merge_labels(many, {"7": "x"})["7"] == "x"
    with pytest.raises(InvalidRequestError, match="would have 31 labels"):
        merge_labels(many, {"more": ""})


def test_every_image_of_a_blueprint_gets_the_labels_of_both() -> None:
    images = [image_request(), image_request("vsphere")]
    stored = a_blueprint(image_requests=images, labels={"team": "web", "stage": "test"})
    requests = create_compose_requests(stored, "api", None, {"stage": "prod"})
    assert [each["labels"] for each in requests] == [{"team": "web", "stage": "prod"}] * 2
    unlabelled = a_blueprint(image_requests=images)
    assert all("labels" not in each for each in create_compose_requests(unlabelled, "api", None))


def test_a_version_with_other_labels_is_a_change_and_one_without_labels_is_none() -> None:
    stored = a_blueprint(labels={"team": "web"})

    def version(labels: Labels | None) -> Version:
        return Version(stored.name, stored.description, stored.body, labels=labels)

    assert stored.has_content_of(version(None))
    assert stored.has_content_of(version({"team": "web"}))
    assert not stored.has_content_of(version({}))
    assert not stored.has_content_of(version({"team": "db"}))
