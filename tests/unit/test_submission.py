"""Outcomes of submitting a build to the composer."""

from uuid import uuid4

import pytest

from domain.errors import BuildRefusedError, InvalidRequestError, UnavailableError
from domain.submission import Accepted, Refused, Unanswered

FAILED = "Failed posting compose request to osbuild-composer."


@pytest.mark.parametrize(
    ("refused", "text"),
    [
        (Refused(400, "10", "OSTree says no", "details"), "Error resolving OSTree repo"),
        (Refused(500, "10", "OSTree says no"), "Error resolving OSTree repo"),
        (Refused(400, "24", "Invalid number of image builds"), "Invalid number of image builds"),
        (Refused(400, "29", "Sizes do not fit", {"a": 1}), "Sizes do not fit"),
        (Refused(400, "30", "Not valid", "the details"), "Not valid: the details"),
        (Refused(400, "30", "Not valid", {"a": [1, "é"]}), 'Not valid: {"a": [1, "é"]}'),
        (Refused(400, "30", "Not valid", ["a"]), 'Not valid: ["a"]'),
        (Refused(400, "30", "Not valid"), "Not valid"),
        (Refused(400, "30", "Not valid", ""), "Not valid"),
        (Refused(400, "30", "", "the details"), "the details"),
        (Refused(500, "11", "No manifest", "why"), "No manifest: why"),
        (Refused(400, "100", "Not ten"), "Not ten"),
        (Refused(400, "1", "Not ten"), "Not ten"),
        (Refused(400, "number", "Not a number", "x"), "Not a number: x"),
        (Refused(400, "30", ""), "The composer refused the request without a reason"),
        (Refused(400, "29", ""), "The composer refused the request without a reason"),
    ],
)
def test_an_error_of_the_request_is_an_invalid_request(refused, text):
    error = refused.error()
    assert isinstance(error, InvalidRequestError)
    assert error.detail == text


@pytest.mark.parametrize(
    ("refused", "text"),
    [
        (Refused(500, "1000", "Panic", "x"), f"{FAILED} Panic: x"),
        (Refused(403, "2", "Unauthorized"), f"{FAILED} Unauthorized"),
        (Refused(400, "1000", "Panic"), f"{FAILED} Panic"),
        (Refused(400, "20", "Malformed", "x"), f"{FAILED} Malformed: x"),
        (Refused(400, "28", "No tenant"), f"{FAILED} No tenant"),
        (Refused(401, "401", "Not authenticated", ""), f"{FAILED} Not authenticated"),
        (Refused(409, "77", "Conflict"), f"{FAILED} Conflict"),
        (Refused(500, "77", "Oops", {"a": 1}), f'{FAILED} Oops: {{"a": 1}}'),
        (Refused(400), FAILED),
        (Refused(502), FAILED),
        (Refused(404), FAILED),
        (Refused(302), FAILED),
    ],
)
def test_any_other_refusal_has_the_composer_s_reason(refused, text):
    error = refused.error()
    assert isinstance(error, BuildRefusedError)
    assert error.detail == text


@pytest.mark.parametrize("may_have_started", [True, False])
def test_no_answer_is_unavailable(may_have_started):
    error = Unanswered(may_have_started).error()
    assert isinstance(error, UnavailableError)
    assert error.retry_after > 0
    assert "composer" in error.detail


@pytest.mark.parametrize(
    ("refused", "may_have_started"),
    [
        (Refused(400, "30", "Not valid"), False),
        (Refused(500, "1000", "Panic"), False),
        (Refused(503, "1000", "Panic"), False),
        (Refused(404), False),
        (Refused(413), False),
        (Refused(429), False),
        (Refused(500), True),
        (Refused(502), True),
        (Refused(503), True),
        (Refused(504), True),
    ],
)
def test_only_an_error_of_the_composer_or_a_4xx_proves_that_nothing_started(refused, may_have_started):
    assert refused.may_have_started is may_have_started


@pytest.mark.parametrize("status", [200, 202, 204])
def test_an_unexpected_success_status_may_have_started_a_build(status):
    assert Refused(status).may_have_started


def test_an_accepted_build_has_the_composer_s_id():
    identifier = uuid4()
    assert Accepted(identifier).id == identifier
