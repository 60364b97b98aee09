"""The client of compliance, over HTTP."""

import json
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
import stamina

from adapters.embedded.platform import sample_data
from adapters.embedded.platform.process import StandInPlatform
from adapters.http.compliance import HttpCompliance
from domain.content import Policy
from domain.errors import ForbiddenError, InvalidRequestError, NotFoundError, UnavailableError
from domain.osbuild.blueprint import parse_blueprint
from ports.deadline import until
from tests.support.customers import BROKEN, CUSTOMER, MEANINGLESS, NOBODY, SLOW, asking, is_discreet, reaching
from tests.support.loopback import answer, refused_url
from tests.support.waiting import BRIEFLY

AWAY = "Compliance gives no usable answer"
ID = "11111111-1111-4111-8111-111111111111"
CALLS = {
    "policy": lambda it, who=CUSTOMER, policy=ID: it.policy(who, policy),
    "tailoring": lambda it, who=CUSTOMER, policy=ID: it.tailoring(who, policy, 6),
    "has tailoring": lambda it, who=CUSTOMER, policy=ID: it.has_tailoring(who, policy, 6),
    "create tailoring": lambda it, who=CUSTOMER, policy=ID: it.create_tailoring(who, policy, 6),
    "blueprint": lambda it, who=CUSTOMER, policy=ID: it.blueprint(who, policy, 6),
}
TAILORINGS = f"/policies/{ID}/tailorings"
every_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


@pytest.fixture(autouse=True)
def _attempts_without_pauses():
    with stamina.set_testing(True, attempts=100, cap=True):
        yield


def compliance(*steps):
    return asking(HttpCompliance, *steps)


def test_a_policy_is_read_from_its_required_keys():
    data = {"id": ID, "ref_id": "xccdf_cis", "os_major_version": 9, "title": None, "more": []}
    with compliance(answer(200, {"data": data, "meta": 1})) as (it, asked):
        assert it.policy(CUSTOMER, ID) == Policy(ID, "xccdf_cis", 9)
    (question,) = asked
    assert (question.method, question.path) == ("GET", f"/policies/{ID}")


@pytest.mark.parametrize("text", ['{ "profiles":\r\n [] }\n', '"é"', "not JSON", "\ufeff{}"])
def test_a_tailoring_is_returned_unchanged(text):
    with compliance(answer(200, text)) as (it, asked):
        assert it.tailoring(CUSTOMER, ID, 6) == text
    assert asked[0].path == f"/policies/{ID}/tailorings/6/tailoring_file.json"


@pytest.mark.parametrize("status", [200, 204])
def test_an_answer_without_content_means_no_tailoring(status):
    with compliance(answer(status, b"")) as (it, _):
        assert it.tailoring(CUSTOMER, ID, 6) is None


def test_a_tailoring_that_is_not_text_is_an_unusable_answer():
    with compliance(answer(200, b"\xff")) as (it, _), pytest.raises(UnavailableError, match=AWAY):
        it.tailoring(CUSTOMER, ID, 6)


@pytest.mark.parametrize("text", ['name = "a"\r\n', '# "é"', "not TOML", "\ufeff"])
def test_the_blueprint_of_a_policy_is_returned_unchanged(text):
    with compliance(answer(200, text)) as (it, asked):
        assert it.blueprint(CUSTOMER, ID, 6) == text
    assert (asked[0].method, asked[0].path) == ("GET", f"{TAILORINGS}/6/tailoring_file.toml")


@pytest.mark.parametrize(("name", "accepted"), [("tailoring", "application/json"), ("blueprint", "*/*")])
def test_a_file_is_accepted_with_any_media_type(name, accepted):
    with compliance(answer(200, b"x", "text/plain")) as (it, asked):
        assert CALLS[name](it) == "x"
    assert asked[0].headers["accept"] == accepted


@pytest.mark.parametrize("status", [200, 204])
def test_an_answer_without_content_is_a_blueprint_without_requirements(status):
    with compliance(answer(status, b"")) as (it, _):
        assert it.blueprint(CUSTOMER, ID, 6) == ""


def test_a_blueprint_that_is_not_text_is_an_unusable_answer():
    with compliance(answer(200, b"\xff")) as (it, _), pytest.raises(UnavailableError, match=AWAY):
        it.blueprint(CUSTOMER, ID, 6)


@pytest.mark.parametrize(("data", "found"), [([], False), ([{"os_minor_version": 6, "id": None}], True)])
def test_tailorings_are_requested_by_minor_version(data, found):
    with compliance(answer(200, {"data": data, "meta": {"total": 1}})) as (it, asked):
        assert it.has_tailoring(CUSTOMER, ID, 6) is found
    (question,) = asked
    assert (question.method, question.path) == ("GET", f"{TAILORINGS}?filter=os_minor_version%3D6")


@pytest.mark.parametrize("step", [*MEANINGLESS.values(), answer(200, {}), answer(200, {"data": None})])
def test_an_invalid_list_of_tailorings_is_an_unusable_answer(step):
    with compliance(step) as (it, _), pytest.raises(UnavailableError, match=AWAY):
        it.has_tailoring(CUSTOMER, ID, 6)


@pytest.mark.parametrize("status", [201, 406])
def test_a_tailoring_is_created_unless_it_exists(status):
    with compliance(answer(status, {"errors": ["Os minor version has already been taken"]})) as (it, asked):
        it.create_tailoring(CUSTOMER, ID, 6)
    (question,) = asked
    assert (question.method, question.path) == ("POST", TAILORINGS)
    assert json.loads(question.body) == {"os_minor_version": 6}


def test_a_tailoring_counts_as_created_if_the_answer_was_lost():
    with compliance(BROKEN["close"], answer(406)) as (it, asked):
        it.create_tailoring(CUSTOMER, ID, 6)
    assert [question.method for question in asked] == ["POST", "POST"]


@pytest.mark.parametrize("status", [200, 202, 409, 422])
def test_any_other_answer_to_a_new_tailoring_is_unusable(status):
    with compliance(answer(status)) as (it, _), pytest.raises(UnavailableError, match=AWAY):
        it.create_tailoring(CUSTOMER, ID, 6)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("policy", "Compliance knows no such policy"),
        ("has tailoring", "Compliance knows no such policy"),
        ("create tailoring", "Compliance knows no such policy"),
        ("tailoring", "Compliance has no tailoring of the policy for this minor version"),
        ("blueprint", "Compliance has no tailoring of the policy for this minor version"),
    ],
)
def test_an_unknown_policy_or_tailoring_is_not_found(name, text):
    with compliance(answer(404)) as (it, _), pytest.raises(NotFoundError, match=text):
        CALLS[name](it)


@every_call
@pytest.mark.parametrize("policy", ["", ".", ".."])
def test_an_invalid_policy_id_is_not_sent(call, policy):
    with compliance() as (it, asked), pytest.raises(NotFoundError, match="no such policy"):
        call(it, policy=policy)
    assert asked == []


@every_call
def test_a_policy_id_cannot_lead_to_other_routes(call):
    with compliance(answer(404)) as (it, asked), pytest.raises(NotFoundError):
        call(it, policy="../x")
    assert asked[0].path.startswith("/policies/..%2Fx")
    assert asked[0].headers["x-rh-identity"] == CUSTOMER.header


@every_call
def test_without_a_red_hat_identity_no_call_is_made(call):
    with compliance() as (it, asked), pytest.raises(InvalidRequestError, match="Compliance needs a Red Hat identity"):
        call(it, NOBODY)
    assert asked == []


@every_call
@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_of_compliance_is_a_refusal_of_the_caller(call, status):
    with compliance(answer(status)) as (it, _), pytest.raises(ForbiddenError) as refused:
        call(it)
    assert "compliance" in refused.value.detail


@pytest.mark.parametrize(
    ("call", "step"),
    [
        pytest.param(call, step, id=f"{name} {fault}")
        for name, call in CALLS.items()
        for fault, step in (*BROKEN.items(), ("400", answer(400)))
        if (name, fault) != ("create tailoring", "201")
    ],
)
def test_an_unusable_answer_means_that_compliance_is_unavailable(call, step):
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
def test_a_policy_of_the_wrong_shape_is_an_unusable_answer(step):
    with compliance(step) as (it, _), pytest.raises(UnavailableError, match=AWAY):
        it.policy(CUSTOMER, ID)


@every_call
@pytest.mark.parametrize("step", SLOW.values(), ids=SLOW)
def test_a_late_answer_means_that_compliance_is_unavailable_in_time(call, step):
    with compliance(step) as (it, asked), until(BRIEFLY), pytest.raises(UnavailableError, match=AWAY):
        call(it)
    assert len(asked) == 1


@every_call
def test_a_refused_connection_means_that_compliance_is_unavailable(call):
    with reaching(HttpCompliance, refused_url()) as it, pytest.raises(UnavailableError, match=AWAY):
        call(it)


@pytest.fixture(scope="module")
def process():
    with StandInPlatform() as running:
        yield running


@pytest.fixture
def stand_in(process):
    process.reset()
    with reaching(HttpCompliance, process.compliance_url) as it:
        yield it


def test_a_created_tailoring_exists_with_its_blueprint(stand_in):
    minor = 17
    assert not stand_in.has_tailoring(CUSTOMER, sample_data.POLICY_RHEL9, minor)
    with pytest.raises(NotFoundError, match="no tailoring"):
        stand_in.blueprint(CUSTOMER, sample_data.POLICY_RHEL9, minor)
    stand_in.create_tailoring(CUSTOMER, sample_data.POLICY_RHEL9, minor)
    stand_in.create_tailoring(CUSTOMER, sample_data.POLICY_RHEL9, minor)
    assert stand_in.has_tailoring(CUSTOMER, sample_data.POLICY_RHEL9, minor)
    assert tuple(
        parse_blueprint(stand_in.blueprint(CUSTOMER, sample_data.POLICY_RHEL9, minor)).customizations["packages"]
    ) == (sample_data.POLICY_PACKAGES)


def test_concurrently_created_tailorings_all_exist(stand_in):
    minors = [minor for minor in range(20, 24) for _ in range(4)]
    with ThreadPoolExecutor(len(minors)) as threads:
        list(threads.map(lambda minor: stand_in.create_tailoring(CUSTOMER, sample_data.POLICY_RHEL9, minor), minors))
    assert all(stand_in.has_tailoring(CUSTOMER, sample_data.POLICY_RHEL9, minor) for minor in minors)


def test_a_policy_without_requirements_has_an_empty_blueprint(stand_in):
    assert stand_in.blueprint(CUSTOMER, sample_data.POLICY_EMPTY, 6) == ""


@pytest.mark.parametrize("name", ["policy", "has tailoring", "create tailoring"])
def test_an_unknown_policy_is_distinguished_from_a_missing_tailoring(stand_in, name):
    with pytest.raises(NotFoundError, match="no such policy"):
        CALLS[name](stand_in, policy=str(uuid4()))
