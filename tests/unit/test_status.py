"""The status of a build, from the composer's answers."""

from datetime import datetime
from typing import Any

import pytest

from domain.status import BuildError, UploadStatus, innermost, link_expires_at, upload_options

INNER = {"id": 21, "reason": "no space left", "details": {"path": "/"}}
OPTIONS = {
    "aws": {"ami": "ami-1", "region": "us-east-1"},
    "aws.s3": {"url": "https://s3"},
    "gcp": {"image_name": "i", "project_id": "p"},
    "azure": {"image_name": "i"},
    "oci.objectstorage": {"url": "https://oci"},
}


def wrapped(details, error_id=5):
    return BuildError(error_id, "wrapper", details)


def an_upload(kind, **options):
    return UploadStatus("success", kind, options)


@pytest.mark.parametrize("error_id", [5, 9, 26, 28])
@pytest.mark.parametrize("details", [INNER, [INNER], [INNER, {"id": 1, "reason": "second"}]], ids=repr)
def test_a_wrapping_error_is_followed_to_what_it_wraps(error_id, details):
    assert innermost(wrapped(details, error_id)) == BuildError(21, "no space left", {"path": "/"})


@pytest.mark.parametrize("error_id", [0, 1, 4, 6, 8, 10, 21, 25, 27, 29, -5])
def test_any_other_error_is_the_innermost(error_id):
    error = wrapped(INNER, error_id)
    assert innermost(error) is error


@pytest.mark.parametrize(
    "details",
    [
        None,
        "text",
        "",
        [],
        {},
        5,
        True,
        ["text"],
        [None],
        [[INNER]],
        [5, INNER],
        {"id": 21},
        {"reason": "no id"},
        {"id": 21, "reason": None},
        {"id": None, "reason": "r"},
        {"id": "21", "reason": "r"},
        {"id": True, "reason": "r"},
        {"id": 21, "reason": ["r"]},
        [{"id": 21}],
    ],
    ids=repr,
)
def test_details_that_hold_no_error_stay(details):
    error = wrapped(details)
    assert innermost(error) == error


def test_wrappers_are_followed_through_wrappers():
    error = wrapped([{"id": 9, "reason": "w", "details": {"id": 26, "reason": "w", "details": [INNER]}}])
    assert innermost(error) == BuildError(21, "no space left", {"path": "/"})


def test_following_ends_at_the_last_that_is_an_error():
    error = wrapped({"id": 28, "reason": "the last", "details": "text"})
    assert innermost(error) == BuildError(28, "the last", "text")


def test_an_inner_error_may_have_no_details():
    assert innermost(wrapped({"id": 21, "reason": "r"})) == BuildError(21, "r", None)


def test_a_thousand_wrapping_errors_are_followed():
    details = INNER
    for _ in range(1000):
        details = {"id": 5, "reason": "w", "details": [details]}
    assert innermost(wrapped(details)).id == 21


@pytest.mark.parametrize("kind", OPTIONS)
def test_an_upload_s_options_are_those_of_its_type(kind):
    everything = {name: value for options in OPTIONS.values() for name, value in options.items()} | OPTIONS[kind]
    assert upload_options(an_upload(kind, **everything, digest="d")) == OPTIONS[kind]


@pytest.mark.parametrize("kind", OPTIONS)
@pytest.mark.parametrize("value", [None, ""])
def test_options_that_the_composer_does_not_know_yet_are_empty_text(kind, value):
    empty = dict.fromkeys(OPTIONS[kind], "")
    assert upload_options(an_upload(kind, **dict.fromkeys(OPTIONS[kind], value))) == empty
    assert upload_options(an_upload(kind)) == empty


def test_a_type_unknown_here_passes_with_its_options():
    assert upload_options(an_upload("container", url="u", digest="d")) == {"url": "u", "digest": "d"}


LINK = "https://bucket.s3.amazonaws.com/disk.qcow2"
SIGNED = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=20260131T120000Z&X-Amz-Expires=604800&X-Amz-Signature=abc"


@pytest.mark.parametrize(
    ("url", "expires_at"),
    [
        (f"{LINK}?{SIGNED}", datetime(2026, 2, 7, 12)),
        (f"{LINK}?{SIGNED.lower().replace('t120000z', 'T120000Z')}", datetime(2026, 2, 7, 12)),
        (LINK, None),
        (f"{LINK}?X-Amz-Date=20260131T120000Z", None),
        (f"{LINK}?X-Amz-Date=20261331T120000Z&X-Amz-Expires=60", None),
        (f"{LINK}?X-Amz-Date=99991231T235959Z&X-Amz-Expires=999999999", None),
        (f"{LINK}?X-Amz-Date=now&X-Amz-Expires=60", None),
        (f"{LINK}?X-Amz-Date=20260131T120000Z&X-Amz-Expires=-60", None),
        ("", None),
        (5, None),
    ],
)
def test_a_download_link_tells_when_it_expires(url: Any, expires_at: datetime | None) -> None:
    assert link_expires_at(UploadStatus("success", "aws.s3", {"url": url})) == expires_at


def test_an_upload_without_a_link_does_not_expire() -> None:
    assert link_expires_at(UploadStatus("success", "aws", {"ami": "ami-1"})) is None
