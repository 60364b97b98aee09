"""The client of provisioning, over HTTP."""

import pytest
import stamina

from adapters.http.provisioning import HttpProvisioning
from domain.errors import InvalidRequestError, UnavailableError
from ports.deadline import until
from tests.support.customers import BROKEN, CUSTOMER, MEANINGLESS, NOBODY, SLOW, asking, is_discreet, reaching
from tests.support.loopback import answer, refused_url
from tests.support.waiting import BRIEFLY

AWAY = "Provisioning gives no usable answer"


@pytest.fixture(autouse=True)
def _attempts_without_pauses():
    with stamina.set_testing(True, attempts=100, cap=True):
        yield


def provisioning(*steps):
    return asking(HttpProvisioning, *steps)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (answer(200, {"aws": {"account_id": "000123456789", "more": 1}, "provider": 5}), "000123456789"),
        (answer(200, {"aws": None, "azure": {"tenant_id": "t"}}), None),
        (answer(200, {"aws": {}}), None),
        (answer(200, {"aws": {"account_id": ""}}), None),
        (answer(200, {"provider": "azure"}), None),
        (answer(404), None),
        (answer(400, b"<html>", "text/html"), None),
    ],
    ids=["aws", "azure", "empty", "empty id", "none", "unknown", "no id"],
)
def test_a_source_has_an_account_or_none(step, expected):
    with provisioning(step) as (it, asked):
        assert it.aws_account(CUSTOMER, "42") == expected
    (question,) = asked
    assert (question.method, question.path) == ("GET", "/sources/42/upload_info")
    assert question.headers["x-rh-identity"] == CUSTOMER.header


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("../../x", "/sources/..%2F..%2Fx/upload_info"),
        ("1?a=b#c", "/sources/1%3Fa%3Db%23c/upload_info"),
        ("1\r\nX-A: b", "/sources/1%0D%0AX-A%3A%20b/upload_info"),
    ],
)
def test_a_source_id_cannot_lead_to_other_routes(source, path):
    with provisioning(answer(404)) as (it, asked):
        assert it.aws_account(CUSTOMER, source) is None
    assert asked[0].path == path


@pytest.mark.parametrize("source", ["", ".", ".."])
def test_an_invalid_source_id_is_not_sent(source):
    with provisioning() as (it, asked):
        assert it.aws_account(CUSTOMER, source) is None
    assert asked == []


def test_without_a_red_hat_identity_no_call_is_made():
    with provisioning() as (it, asked), pytest.raises(InvalidRequestError, match="Provisioning needs a Red Hat"):
        it.aws_account(NOBODY, "42")
    assert asked == []


@pytest.mark.parametrize("account", ["12345678901", "1234567890123", "12345678901x", "123456789012\n", 123456789012])
def test_an_invalid_account_is_an_unusable_answer(account):
    with provisioning(answer(200, {"aws": {"account_id": account}})) as (it, _), pytest.raises(UnavailableError):
        it.aws_account(CUSTOMER, "42")


@pytest.mark.parametrize(
    "step",
    [*BROKEN.values(), *MEANINGLESS.values(), answer(401), answer(403)],
    ids=[*BROKEN, *MEANINGLESS, "401", "403"],
)
def test_an_unusable_answer_means_that_provisioning_is_unavailable(step):
    with provisioning(step) as (it, _), pytest.raises(UnavailableError) as away:
        it.aws_account(CUSTOMER, "42")
    assert away.value.detail == AWAY
    assert is_discreet(away.value.detail)


@pytest.mark.parametrize("step", SLOW.values(), ids=SLOW)
def test_a_late_answer_means_that_provisioning_is_unavailable_in_time(step):
    with provisioning(step) as (it, asked), until(BRIEFLY), pytest.raises(UnavailableError, match=AWAY):
        it.aws_account(CUSTOMER, "42")
    assert len(asked) == 1


def test_a_refused_connection_means_that_provisioning_is_unavailable():
    with reaching(HttpProvisioning, refused_url()) as it, pytest.raises(UnavailableError, match=AWAY):
        it.aws_account(CUSTOMER, "42")
