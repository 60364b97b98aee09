"""Asking compliance over HTTP (spec 30)."""

import pytest
import stamina

from adapters.http.compliance import HttpCompliance
from domain.content import Policy
from domain.errors import ForbiddenError, InvalidRequestError, NotFoundError, UnavailableError
from ports.deadline import until
from tests.support.customers import BROKEN, CUSTOMER, MEANINGLESS, NOBODY, SLOW, asking, is_discreet, reaching
from tests.support.loopback import answer, refused_url

AWAY = "Compliance gives no usable answer"
ID = "11111111-1111-4111-8111-111111111111"
CALLS = {
    "policy": lambda it, who=CUSTOMER, policy=ID: it.policy(who, policy),
    "tailoring": lambda it, who=CUSTOMER, policy=ID: it.tailoring(who, policy, 6),
}
every_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


@pytest.fixture(autouse=True)
def _attempts_without_pauses():
    with stamina.set_testing(True, attempts=100, cap=True):
        yield


def compliance(*steps):
    return asking(HttpCompliance, *steps)


def test_a_policy_is_read_by_the_keys_needed():
    data = {"id": ID, "ref_id": "xccdf_cis", "os_major_version": 9, "title": None, "more": []}
    with compliance(answer(200, {"data": data, "meta": 1})) as (it, asked):
        assert it.policy(CUSTOMER, ID) == Policy(ID, "xccdf_cis", 9)
    (question,) = asked
    assert (question.method, question.path) == ("GET", f"/policies/{ID}")


@pytest.mark.parametrize("text", ['{ "profiles":\r\n [] }\n', '"é"', "not JSON", "\ufeff{}"])
def test_a_tailoring_is_handed_on_byte_for_byte(text):
    with compliance(answer(200, text)) as (it, asked):
        assert it.tailoring(CUSTOMER, ID, 6) == text
    assert asked[0].path == f"/policies/{ID}/tailorings/6/tailoring_file.json"


@pytest.mark.parametrize("status", [200, 204])
def test_no_content_is_no_tailoring(status):
    with compliance(answer(status, b"")) as (it, _):
        assert it.tailoring(CUSTOMER, ID, 6) is None


def test_a_tailoring_that_is_no_text_is_no_answer():
    with compliance(answer(200, b"\xff")) as (it, _), pytest.raises(UnavailableError, match=AWAY):
        it.tailoring(CUSTOMER, ID, 6)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("policy", "Compliance knows no such policy"),
        ("tailoring", "Compliance has no tailoring of the policy for this minor version"),
    ],
)
def test_what_compliance_does_not_know_is_not_found(name, text):
    with compliance(answer(404)) as (it, _), pytest.raises(NotFoundError, match=text):
        CALLS[name](it)


@every_call
@pytest.mark.parametrize("policy", ["", ".", ".."])
def test_what_is_no_id_is_not_asked_for(call, policy):
    with compliance() as (it, asked), pytest.raises(NotFoundError, match="no such policy"):
        call(it, policy=policy)
    assert asked == []


@every_call
def test_a_policy_s_id_does_not_reach_other_routes(call):
    with compliance(answer(404)) as (it, asked), pytest.raises(NotFoundError):
        call(it, policy="../x")
    assert asked[0].path.startswith("/policies/..%2Fx")
    assert asked[0].headers["x-rh-identity"] == CUSTOMER.header


@every_call
def test_without_a_red_hat_identity_nothing_is_asked(call):
    with compliance() as (it, asked), pytest.raises(InvalidRequestError, match="Compliance needs a Red Hat identity"):
        call(it, NOBODY)
    assert asked == []


@every_call
@pytest.mark.parametrize("status", [401, 403])
def test_a_caller_who_may_not_read_there_may_not_here(call, status):
    with compliance(answer(status)) as (it, _), pytest.raises(ForbiddenError) as refused:
        call(it)
    assert "compliance" in refused.value.detail


@every_call
@pytest.mark.parametrize("step", [*BROKEN.values(), answer(400)], ids=[*BROKEN, "400"])
def test_no_usable_answer_is_unavailable(call, step):
    with compliance(step) as (it, _), pytest.raises(UnavailableError) as away:
        call(it)
    assert away.value.detail == AWAY
    assert is_discreet(away.value.detail)


@pytest.mark.parametrize(
    "step",
    [
        *MEANINGLESS.values(),
        answer(200, {}),
        answer(200, {"data": {"id": ID, "ref_id": "x"}}),
        answer(200, {"data": {"id": ID, "ref_id": "", "os_major_version": 9}}),
        answer(200, {"data": {"id": ID, "ref_id": "x", "os_major_version": "nine"}}),
    ],
)
def test_a_policy_of_the_wrong_shape_is_no_answer(step):
    with compliance(step) as (it, _), pytest.raises(UnavailableError, match=AWAY):
        it.policy(CUSTOMER, ID)


@every_call
@pytest.mark.parametrize("step", SLOW.values(), ids=SLOW)
def test_an_answer_that_is_late_is_unavailable_in_time(call, step):
    with compliance(step) as (it, asked), until(0.1), pytest.raises(UnavailableError, match=AWAY):
        call(it)
    assert len(asked) == 1


@every_call
def test_compliance_that_is_not_there_is_unavailable(call):
    with reaching(HttpCompliance, refused_url()) as it, pytest.raises(UnavailableError, match=AWAY):
        call(it)
