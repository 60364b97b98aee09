"""What a compliance policy asks for: who may know, and what is said where it does not apply."""

import pytest

from domain.content import Policy
from domain.distributions import AllowList, Catalogue
from domain.errors import ForbiddenError, InvalidRequestError, NotFoundError, UnavailableError
from domain.identity import Identity
from image_builder.fair_threads import FairThreads
from image_builder.usecases.requirements import PolicyRequirements, ShowPolicy
from ports.deadline import remaining_seconds
from tests.support.domain_builders import a_distribution, a_rhel, a_uuid

CALLER = Identity("000001", account_number="7", email="u@example.com", entitled=True)
POLICY = a_uuid(50)
BLUEPRINT = """
[[packages]]
name = "aide"

[customizations.services]
masked = ["rpcbind"]

[customizations.openscap]
profile_id = "cis"
"""
KNOWN = (a_rhel("rhel-9.8"), a_rhel("rhel-10.2"), a_rhel("rhel-9.9", restricted=True), a_distribution("centos-9"))


class FakeCompliance:
    def __init__(self, *, policy=9, tailored=True, blueprint=BLUEPRINT, error=None):
        self.major = policy
        self.tailored = tailored
        self.text = blueprint
        self.error = error
        self.created = []
        self.seconds = []

    def policy(self, _identity, policy_id):
        self.seconds.append(remaining_seconds())
        if self.error:
            raise self.error
        if self.major is None:
            raise NotFoundError("no")
        return Policy(policy_id, "ref", self.major)

    def has_tailoring(self, _identity, _policy_id, _minor):
        return self.tailored

    def create_tailoring(self, _identity, policy_id, minor):
        self.created.append((policy_id, minor))

    def blueprint(self, _identity, _policy_id, _minor):
        if self.text is None:
            raise NotFoundError("no")
        return self.text


@pytest.fixture(scope="module")
def threads():
    with FairThreads(4, "lookup") as executor:
        yield executor


@pytest.fixture
def show(threads):
    def ask(distribution="rhel-9.8", compliance=None, identity=CALLER, **behaviour):
        catalogue = Catalogue({each.name: each for each in KNOWN}, AllowList())
        requirements = PolicyRequirements(compliance or FakeCompliance(**behaviour), threads)
        return ShowPolicy(catalogue, requirements)(identity, POLICY, distribution)

    return ask


def test_what_the_policy_asks_for_is_shown_without_openscap(show):
    assert show() == {"packages": ["aide"], "services": {"masked": ["rpcbind"]}}


def test_a_missing_tailoring_is_made_first(show):
    compliance = FakeCompliance(tailored=False)
    show(compliance=compliance)
    assert compliance.created == [(POLICY, 8)]


def test_compliance_has_thirty_seconds(show):
    compliance = FakeCompliance()
    show(compliance=compliance)
    assert compliance.seconds[0] <= 30


@pytest.mark.parametrize(
    ("distribution", "error", "said"),
    [
        ("rhel-84", InvalidRequestError, "distribution not available"),
        ("rhel-9.9", ForbiddenError, "not authorized to build rhel-9.9"),
        ("centos-9", InvalidRequestError, "applies to RHEL only"),
    ],
)
def test_compliance_is_not_asked_about_what_the_caller_cannot_have(show, distribution, error, said):
    compliance = FakeCompliance()
    with pytest.raises(error, match=said):
        show(distribution, compliance)
    assert compliance.seconds == []


def test_who_has_no_subscription_is_told_that_the_distribution_is_not_there(show):
    with pytest.raises(InvalidRequestError, match="distribution not available"):
        show(identity=Identity("000001", account_number="", email="", entitled=False))


@pytest.mark.parametrize(
    ("distribution", "behaviour", "said"),
    [
        ("rhel-9.8", {"policy": None}, "not known"),
        ("rhel-10.2", {}, "is for RHEL 9, not for RHEL 10"),
        ("rhel-9.8", {"blueprint": None}, r"no tailoring for RHEL 9\.8"),
    ],
)
def test_a_policy_that_has_nothing_for_the_distribution_is_not_found(show, distribution, behaviour, said):
    with pytest.raises(NotFoundError, match=said) as caught:
        show(distribution, **behaviour)
    assert POLICY in caught.value.detail


@pytest.mark.parametrize("error", [ForbiddenError("not yours"), UnavailableError("away")])
def test_a_refusal_of_compliance_is_passed_on(show, error):
    with pytest.raises(type(error), match=error.detail):
        show(error=error)
