"""The client of the composer, over HTTP: which answers are usable."""

from uuid import uuid4

import pytest
import stamina

from domain.errors import NotFoundError, UnavailableError
from domain.status import BuildError, ImageStatus, Progress, UploadStatus
from ports.composer import Builds
from ports.trace import Trace, current_trace
from tests.support.composer_adapter import ID, HastyBackEnd, a_composer, asking, submitted
from tests.support.loopback import answer, close, garbage, refused_url, reset, truncated

HTML = answer(200, b"<html>busy</html>", "text/html")


@pytest.fixture(autouse=True)
def _attempts_without_pauses():
    with stamina.set_testing(True, attempts=100, cap=True):
        yield


def reading(adapter, what):
    return getattr(adapter, what)(*(() if what == "check" else (ID,)))


def status_of(image_status, **more):
    with asking(answer(200, {"image_status": image_status, **more})) as (adapter, _):
        return adapter.status(ID).image


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"status": "pending"}, ImageStatus("pending")),
        ({"status": "something-new", "surprise": 1}, ImageStatus("something-new")),
        (
            {"status": "building", "progress": {"done": 1, "total": 4, "subprogress": {"done": 2, "total": 9}}},
            ImageStatus("building", Progress(1, 4, Progress(2, 9))),
        ),
        (
            {"status": "building", "progress": {"done": 0, "total": 4, "subprogress": None, "more": 1}},
            ImageStatus("building", Progress(0, 4)),
        ),
        (
            {
                "status": "success",
                "upload_status": {"status": "success", "type": "gcp", "options": {"image_name": "i"}},
            },
            ImageStatus("success", upload_status=UploadStatus("success", "gcp", {"image_name": "i"})),
        ),
        (
            {"status": "uploading", "upload_status": {"status": "running", "type": "new", "options": None}},
            ImageStatus("uploading", upload_status=UploadStatus("running", "new", {})),
        ),
        (
            {"status": "failure", "error": {"id": 5, "reason": "r", "details": [{"id": 1}]}},
            ImageStatus("failure", error=BuildError(5, "r", [{"id": 1}])),
        ),
        (
            {"status": "failure", "error": {"id": 0, "reason": "", "details": None}},
            ImageStatus("failure", error=BuildError(0, "")),
        ),
        ({"status": "pending", "progress": None, "upload_status": None, "error": None}, ImageStatus("pending")),
    ],
)
def test_a_status_is_read_from_its_required_keys(document, expected):
    assert status_of(document, kind=None, href=5, id=None) == expected


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        "text",
        {},
        {"image_status": None},
        {"image_status": []},
        {"image_status": {}},
        {"image_status": {"status": 5}},
        {"image_status": {"status": None}},
        {"image_status": {"status": "building", "progress": {"done": "1", "total": 4}}},
        {"image_status": {"status": "building", "progress": []}},
        {"image_status": {"status": "failure", "error": "text"}},
        {"image_status": {"status": "failure", "error": {"id": "5", "reason": "r"}}},
        {"image_status": {"status": "success", "upload_status": {"status": "success"}}},
    ],
)
def test_a_status_of_the_wrong_shape_is_an_unusable_answer(document):
    with asking(answer(200, document)) as (adapter, _), pytest.raises(UnavailableError):
        adapter.status(ID)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (
            {
                "packages": [
                    {
                        "type": "rpm",
                        "name": "vim",
                        "version": "9",
                        "release": "1",
                        "epoch": "2",
                        "arch": "x86_64",
                        "sigmd5": "m",
                        "signature": "s",
                        "checksum": "sha256:x",
                    },
                    {
                        "type": "rpm",
                        "name": "vi",
                        "version": "9",
                        "release": "1",
                        "epoch": None,
                        "arch": "noarch",
                        "sigmd5": "m",
                        "signature": None,
                    },
                ],
                "ostree_commit": "c",
                "request": {"distribution": "x"},
            },
            {
                "packages": [
                    {
                        "type": "rpm",
                        "name": "vim",
                        "version": "9",
                        "release": "1",
                        "epoch": "2",
                        "arch": "x86_64",
                        "sigmd5": "m",
                        "signature": "s",
                    },
                    {"type": "rpm", "name": "vi", "version": "9", "release": "1", "arch": "noarch", "sigmd5": "m"},
                ],
                "ostree_commit": "c",
            },
        ),
        ({"packages": [], "ostree_commit": None, "id": "x"}, {"packages": []}),
    ],
)
def test_metadata_is_read_from_its_required_keys(document, expected):
    with asking(answer(200, document)) as (adapter, _):
        assert adapter.metadata(ID) == expected


@pytest.mark.parametrize(
    "document", [None, [], {"packages": {}}, {"packages": [{"name": "vim"}]}, {"packages": ["vim"]}]
)
def test_metadata_of_the_wrong_shape_is_an_unusable_answer(document):
    with asking(answer(200, document)) as (adapter, _), pytest.raises(UnavailableError):
        adapter.metadata(ID)


@pytest.mark.parametrize("what", ["status", "metadata"])
def test_an_unknown_build_is_not_found(real, composer, what):
    with pytest.raises(NotFoundError):
        getattr(real, what)(uuid4())


@pytest.mark.parametrize("what", ["status", "metadata"])
def test_a_404_of_any_shape_is_not_found(what):
    with asking(answer(404, b"<html>", "text/html")) as (adapter, _), pytest.raises(NotFoundError):
        reading(adapter, what)


@pytest.mark.parametrize("what", ["status", "metadata", "cancel", "check"])
@pytest.mark.parametrize("status", [302, 400, 401, 403, 409, 429, 500, 502, 503, 504])
def test_any_other_http_status_is_an_unusable_answer(what, status):
    with asking(answer(status, b"{}")) as (adapter, _), pytest.raises(UnavailableError) as away:
        reading(adapter, what)
    assert away.value.retry_after > 0
    assert "composer" in away.value.detail
    assert "127.0.0.1" not in away.value.detail


@pytest.mark.parametrize("what", ["status", "metadata"])
@pytest.mark.parametrize("step", [HTML, truncated(), garbage, close, reset])
def test_garbage_is_an_unusable_answer(what, step):
    with asking(step) as (adapter, _), pytest.raises(UnavailableError):
        reading(adapter, what)


@pytest.mark.parametrize("what", ["status", "metadata", "cancel", "check"])
def test_a_composer_that_hangs_gives_no_answer(composer, what):
    composer.steer(hang=True)
    with a_composer(composer.url, HastyBackEnd) as adapter, pytest.raises(UnavailableError):
        reading(adapter, what)


@pytest.mark.parametrize("what", ["status", "metadata", "cancel", "check"])
def test_a_composer_that_is_not_there_gives_no_answer(what):
    with a_composer(refused_url()) as adapter, pytest.raises(UnavailableError):
        reading(adapter, what)


@pytest.mark.parametrize(
    ("document", "complete"),
    [
        ({"kind": "ComposeList", "page": 0, "size": 1, "total": 1, "items": [{"id": str(ID), "status": "x"}]}, True),
        ({"items": [{"id": str(ID)}], "total": 2}, False),
        ([{"id": str(ID), "kind": "ComposeStatus"}], True),
    ],
)
def test_builds_are_listed_from_a_page_and_from_a_bare_list(document, complete):
    with asking(answer(200, document)) as (adapter, _):
        assert adapter.builds() == Builds(frozenset({ID}), complete)


@pytest.mark.parametrize(
    ("document", "complete"),
    [([], False), (None, False), ({"items": [], "total": 0}, True), ({"items": None, "total": 0}, True)],
)
def test_an_empty_bare_list_does_not_show_that_there_are_no_builds(document, complete):
    with asking(answer(200, document)) as (adapter, _):
        assert adapter.builds() == Builds(frozenset(), complete)


@pytest.mark.parametrize("body", [b"", b"<html>gateway</html>", b"{}", b'{"items": null}', b"0"])
def test_an_answer_that_is_not_a_list_does_not_show_the_builds(body):
    with asking(answer(200, body)) as (adapter, _), pytest.raises(UnavailableError):
        adapter.builds()


def test_a_composer_that_cannot_list_its_builds_is_unavailable():
    with asking(answer(404, {"reason": "no such path"})) as (adapter, _), pytest.raises(UnavailableError):
        adapter.builds()


def test_a_build_is_cancelled_at_the_composer(real, composer):
    compose_id = submitted(real)
    real.cancel(compose_id)
    assert composer.behaviour()["deleted"] == [str(compose_id)]


def test_an_unknown_build_counts_as_cancelled(real):
    real.cancel(uuid4())


def test_a_refused_cancellation_is_reported(real, composer):
    compose_id = submitted(real)
    composer.steer(delete_error={"status": 500, "id": "1000", "reason": "no"})
    with pytest.raises(UnavailableError):
        real.cancel(compose_id)


def test_a_composer_that_answers_is_available(real):
    real.check()


def test_a_composer_without_its_openapi_document_is_unavailable(real, composer):
    composer.steer(openapi_status=404)
    with pytest.raises(UnavailableError):
        real.check()


def test_metadata_and_status_of_a_real_composer_are_read(real, composer):
    compose_id = submitted(real)
    composer.steer(image_status={"status": "success"})
    assert real.status(compose_id).image == ImageStatus("success")
    assert real.metadata(compose_id)["packages"]


def test_the_ids_of_the_request_reach_the_composer_and_the_caller_s_identity_does_not(real, composer):
    token = current_trace.set(Trace("the-request", "abcdefghijklmno"))
    try:
        compose_id = submitted(real)
        real.status(compose_id)
        real.metadata(compose_id)
        real.cancel(compose_id)
    finally:
        current_trace.reset(token)
    seen = [(call["trace_id"], call["request_id"], call["identity"]) for call in composer.behaviour()["recent"]]
    assert seen == [("abcdefghijklmno", "the-request", False)] * 4
