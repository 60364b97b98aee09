"""The composer over HTTP: what its answers are taken for (spec 20, What the composer answers; spec 10, Composes)."""

import time
from contextlib import contextmanager
from uuid import UUID, uuid4

import pytest
import stamina

from adapters.http.client import BackEnd, Timeouts, new_session
from adapters.http.composer import HttpComposer
from adapters.http.tokens import Credentials, Tokens
from domain.errors import NotFoundError, UnavailableError
from domain.status import BuildError, ImageStatus, Progress, UploadStatus
from domain.submission import Accepted, Refused, Unanswered
from ports.trace import Trace, current_trace
from tests.support.builders import compose_request
from tests.support.domain_builders import built
from tests.support.loopback import Loopback, answer, close, garbage, half, hang, refused_url, reset, truncated

BASE = "/api/image-builder-composer/v2"
ID = UUID("e3ee0a5c-1c7a-4ff6-a9ef-1c7a4ff6a9ef")
HASTE = Timeouts(connect=2.0, read=0.15)
HTML = answer(200, b"<html>busy</html>", "text/html")


@pytest.fixture(autouse=True)
def _attempts_without_pauses():
    with stamina.set_testing(True, attempts=100, cap=True):
        yield


class HastyBackEnd(BackEnd):
    """Waits a moment only, whatever it is told."""

    def get(self, path, _timeouts):
        return super().get(path, HASTE)

    def delete(self, path, _timeouts):
        return super().delete(path, HASTE)

    def post(self, path, body, _timeouts):
        return super().post(path, body, HASTE)


@contextmanager
def a_composer(url, kind=BackEnd, tokens=None):
    back_end = kind("composer", url, connections=5, tokens=tokens)
    try:
        yield HttpComposer(back_end)
    finally:
        back_end.close()


@pytest.fixture
def real(composer):
    """The adapter on the stand-in composer."""
    with a_composer(composer.url) as adapter:
        yield adapter


def submitted(adapter):
    outcome = adapter.submit(built(compose_request(image_name="mine")))
    assert isinstance(outcome, Accepted)
    return outcome.id


def asking(*steps, kind=BackEnd):
    """The adapter on a back-end that takes these steps, and what it was asked."""

    @contextmanager
    def running():
        with Loopback(*steps) as server, a_composer(server.url, kind) as adapter:
            yield adapter, server.asked

    return running()


def reading(adapter, what):
    return getattr(adapter, what)(*(() if what == "check" else (ID,)))


def status_of(image_status, **more):
    with asking(answer(200, {"image_status": image_status, **more})) as (adapter, _):
        return adapter.status(ID)


def test_a_build_is_accepted_under_the_composer_s_id(real, composer):
    compose_id = submitted(real)
    assert composer.counters() == {"POST /compose": 1}
    assert real.status(compose_id).status in {"pending", "building"}


@pytest.mark.parametrize("error_id", ["10", "24", "29", "30", "1000"])
@pytest.mark.parametrize("status", [400, 500, 503])
def test_a_refusal_is_the_composer_s_own_words(real, composer, error_id, status):
    composer.steer(post_error={"status": status, "id": error_id, "reason": "no", "details": ["why"]})
    outcome = real.submit(built())
    assert outcome == Refused(status, error_id, "no", ["why"])
    assert not outcome.may_have_started
    assert composer.counters() == {"POST /compose": 1}


def test_a_refusal_without_details_has_none(real, composer):
    composer.steer(post_error={"id": "30", "reason": "no"})
    assert real.submit(built()) == Refused(400, "30", "no", None)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("<html>", "text/html"),
        ("", "text/plain"),
        ("{", "application/json"),
        ("[]", "application/json"),
        ("null", "application/json"),
        ('"text"', "application/json"),
        ('{"id": "30"}', "application/json"),
        ('{"reason": "r"}', "application/json"),
        ('{"id": "30", "reason": null}', "application/json"),
        ('{"id": "30", "reason": ["r"]}', "application/json"),
    ],
)
@pytest.mark.parametrize("status", [400, 404, 500, 502, 503, 504])
def test_an_error_that_is_not_the_composer_s_has_a_status_only(real, composer, body, content_type, status):
    composer.steer(post_raw={"status": status, "body": body, "content_type": content_type})
    outcome = real.submit(built())
    assert outcome == Refused(status)
    assert outcome.may_have_started is (status >= 500)
    assert composer.counters() == {"POST /compose": 1}


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_connection_cut_off_may_have_started_a_build(real, composer, when):
    composer.steer(post_drop=when)
    assert real.submit(built()) == Unanswered(may_have_started=True)
    assert composer.behaviour()["composes"] == (1 if when == "after" else 0)
    assert composer.counters() == {"POST /compose": 1}


@pytest.mark.parametrize(
    "step",
    [
        answer(201, b"<html>", "text/html"),
        answer(201, b""),
        answer(201, b"{"),
        answer(201, []),
        answer(201, {}),
        answer(201, {"id": None}),
        answer(201, {"id": "no-uuid"}),
        answer(201, {"id": 5}),
        truncated(b'{"id": "', 201),
        garbage,
        close,
        reset,
    ],
)
def test_an_answer_nobody_can_read_may_have_started_a_build(step):
    with asking(step) as (adapter, asked):
        assert adapter.submit({}) == Unanswered(may_have_started=True)
    assert len(asked) == 1


@pytest.mark.parametrize("step", [hang, half])
def test_a_composer_that_hangs_may_have_started_a_build(step):
    with asking(step, kind=HastyBackEnd) as (adapter, asked):
        began = time.monotonic()
        assert adapter.submit({}) == Unanswered(may_have_started=True)
        assert time.monotonic() - began < 3.0
    assert len(asked) == 1


def test_a_composer_that_is_not_there_started_nothing():
    with a_composer(refused_url()) as adapter:
        assert adapter.submit({}) == Unanswered(may_have_started=False)


def test_a_composer_left_alone_started_nothing():
    with a_composer(refused_url()) as adapter:
        outcomes = [adapter.submit({}) for _ in range(8)]
    assert outcomes == [Unanswered(may_have_started=False)] * 8


def test_without_a_token_nothing_was_started(composer):
    composer.steer(token_status=500, require_token=True)
    session = new_session(1)
    tokens = Tokens(Credentials(composer.token_url, "us", "secret"), session)
    with a_composer(composer.url, tokens=tokens) as adapter:
        assert adapter.submit(built()) == Unanswered(may_have_started=False)
    session.close()
    assert composer.counters() == {"POST /token": 1}


def test_a_build_is_submitted_once_with_a_token_that_was_revoked(composer):
    composer.steer(require_token=True)
    session = new_session(1)
    tokens = Tokens(Credentials(composer.token_url, "us", "secret"), session)
    with a_composer(composer.url, tokens=tokens) as adapter:
        submitted(adapter)
        composer.steer(revoke_tokens=True)
        submitted(adapter)
    session.close()
    assert composer.behaviour()["composes"] == 2


def test_unknown_keys_and_an_unusual_id_s_letters_are_taken():
    with asking(answer(201, {"id": str(ID).upper(), "kind": None, "href": 5, "surprise": {}})) as (adapter, _):
        assert adapter.submit({}) == Accepted(ID)


def test_a_build_s_request_goes_as_it_is(real, composer):
    request = built(compose_request(image={"size": 2**64 - 1}))
    with asking(answer(201, {"id": str(ID)})) as (adapter, asked):
        adapter.submit(request)
    assert asked[0].path == f"{BASE}/compose"
    assert b"18446744073709551615" in asked[0].body


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
def test_a_status_is_read_by_the_keys_needed(document, expected):
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
def test_a_status_of_the_wrong_shape_is_no_answer(document):
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
def test_metadata_is_read_by_the_keys_needed(document, expected):
    with asking(answer(200, document)) as (adapter, _):
        assert adapter.metadata(ID) == expected


@pytest.mark.parametrize(
    "document", [None, [], {"packages": {}}, {"packages": [{"name": "vim"}]}, {"packages": ["vim"]}]
)
def test_metadata_of_the_wrong_shape_is_no_answer(document):
    with asking(answer(200, document)) as (adapter, _), pytest.raises(UnavailableError):
        adapter.metadata(ID)


@pytest.mark.parametrize("what", ["status", "metadata"])
def test_a_build_the_composer_does_not_know_is_not_found(real, composer, what):
    with pytest.raises(NotFoundError):
        getattr(real, what)(uuid4())


@pytest.mark.parametrize("what", ["status", "metadata"])
def test_a_404_of_any_shape_is_not_found(what):
    with asking(answer(404, b"<html>", "text/html")) as (adapter, _), pytest.raises(NotFoundError):
        reading(adapter, what)


@pytest.mark.parametrize("what", ["status", "metadata", "cancel", "check"])
@pytest.mark.parametrize("status", [302, 400, 401, 403, 409, 429, 500, 502, 503, 504])
def test_any_other_status_is_no_answer(what, status):
    with asking(answer(status, b"{}")) as (adapter, _), pytest.raises(UnavailableError) as away:
        reading(adapter, what)
    assert away.value.retry_after > 0
    assert "composer" in away.value.detail
    assert "127.0.0.1" not in away.value.detail


@pytest.mark.parametrize("what", ["status", "metadata"])
@pytest.mark.parametrize("step", [HTML, truncated(), garbage, close, reset])
def test_garbage_is_no_answer(what, step):
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


def test_a_build_is_cancelled_at_the_composer(real, composer):
    compose_id = submitted(real)
    real.cancel(compose_id)
    assert composer.behaviour()["deleted"] == [str(compose_id)]


def test_a_build_the_composer_does_not_know_counts_as_cancelled(real):
    real.cancel(uuid4())


def test_a_refused_cancellation_is_told(real, composer):
    compose_id = submitted(real)
    composer.steer(delete_error={"status": 500, "id": "1000", "reason": "no"})
    with pytest.raises(UnavailableError):
        real.cancel(compose_id)


def test_a_composer_that_answers_is_there(real):
    real.check()


def test_a_composer_whose_document_is_missing_is_away(real, composer):
    composer.steer(openapi_status=404)
    with pytest.raises(UnavailableError):
        real.check()


def test_a_build_s_metadata_and_status_are_those_of_the_real_shape(real, composer):
    compose_id = submitted(real)
    composer.steer(image_status={"status": "success"})
    assert real.status(compose_id) == ImageStatus("success")
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
