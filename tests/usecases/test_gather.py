"""Look-ups: which are made at the same time, what becomes of those that fail."""

import threading
from contextvars import ContextVar
from dataclasses import dataclass, field

import pytest

from domain.compose.lookups import Answers, create_questions
from domain.compose.request import parse_compose_request
from domain.content import CUSTOM_ORIGINS, RED_HAT, Policy, Template
from domain.errors import ForbiddenError, InvalidRequestError, NotFoundError, UnavailableError
from domain.identity import Identity
from image_builder.fair_threads import FairThreads
from image_builder.usecases.gather import GatherAnswers
from tests.support.builders import SUBSCRIPTION, compose_request
from tests.support.domain_builders import a_distribution, a_repository, a_rhel, a_snapshot, a_uuid, completed, known
from tests.support.waiting import PATIENCE

CALLER = Identity("000001", header="aWQ=")
POLICY = a_uuid(50)
TEMPLATE = a_uuid(99)
FLAG_OFF = "Feature image-builder.compliance-policies.enabled not enabled"
BASEOS = "https://mirror.example/baseos"
RED_HAT_BY_URL = ("by_url", (BASEOS,), (RED_HAT,))
ROLE: ContextVar[str] = ContextVar("ROLE", default="nobody")


class Rounds:
    """Calls of one round wait for each other: each round is a set of them, and nobody waits longer than a second."""

    def __init__(self, *rounds):
        self.barriers = {
            call: barrier for calls in rounds for barrier in [threading.Barrier(len(calls))] for call in calls
        }

    def __call__(self, call):
        if call in self.barriers:
            self.barriers[call].wait(PATIENCE)


@dataclass
class World:
    """All back-ends: each call is noted, waits for its round, fails as told or answers."""

    rounds: Rounds = field(default_factory=Rounds)
    red_hat: tuple = ()
    customer: tuple = ()
    snapshots_known: tuple = ()
    template_known: object = None
    accounts: dict = field(default_factory=dict)
    flag: bool = True
    failing: dict = field(default_factory=dict)
    calls: list = field(default_factory=list)
    roles: set = field(default_factory=set)
    ended: list = field(default_factory=list)

    def _called(self, *call):
        self.calls.append(call)
        self.roles.add(ROLE.get())
        self.rounds(call)
        waiting, error = self.failing.get(call[0], (None, None))
        if waiting is not None:
            assert waiting.wait(PATIENCE)
        self.ended.append(call)
        if error is not None:
            raise error

    def _of(self, origins):
        return self.red_hat if origins == (RED_HAT,) else self.customer

    def by_url(self, identity, urls, origins):
        assert identity is CALLER
        self._called("by_url", urls, origins)
        return tuple(repository for repository in self._of(origins) if repository.url in urls)

    def by_uuid(self, identity, uuids, origins):
        assert identity is CALLER
        self._called("by_uuid", uuids, origins)
        return tuple(repository for repository in self._of(origins) if repository.uuid in uuids)

    def snapshots(self, identity, date, uuids):
        assert identity is CALLER
        self._called("snapshots", date, uuids)
        return self.snapshots_known

    def template(self, identity, uuid):
        assert identity is CALLER
        self._called("template", uuid)
        return self.template_known

    def aws_account(self, identity, source):
        assert identity is CALLER
        self._called("aws_account", source)
        return self.accounts.get(source)

    def policy(self, identity, policy_id):
        assert identity is CALLER
        self._called("policy", policy_id)
        return Policy(policy_id, "ref", 9)

    def tailoring(self, identity, policy_id, minor):
        assert identity is CALLER
        self._called("tailoring", policy_id, minor)
        return "{}"

    def compliance_policies(self):
        self.calls.append(("flag",))
        return self.flag


@pytest.fixture
def threads():
    with FairThreads(16, "lookup") as pool:
        yield pool


@pytest.fixture
def gathered(threads):
    """What is gathered in a world for a document; `without` names back-ends that are not set up."""

    def gather(world, document=None, distribution=None, *, without=()):
        back_ends = {
            name: None if name in without else world for name in ("content_sources", "provisioning", "compliance")
        }
        request = parse_compose_request(completed(document or everything()))
        questions = create_questions(request, distribution or a_rhel("rhel-9.8", a_repository(rhsm=True)))
        return GatherAnswers(**back_ends, features=world, threads=threads)(CALLER, questions)

    return gather


def everything(**image):
    """A request that needs every back-end: two sources, a policy, own repositories by address and by id."""
    ours = {
        "payload_repositories": [
            {"baseurl": "https://own.example/2", "rhsm": False},
            {"id": a_uuid(3), "rhsm": False},
        ],
        "custom_repositories": [{"id": a_uuid(4)}, {"id": "mine", "baseurl": ["https://own.example/5"]}],
        "openscap": {"policy_id": POLICY},
    }
    options = {"share_with_sources": ["1", "2"]}
    return compose_request("aws", "aws", image={"options": options, **image}, customizations=ours)


DATED = everything(snapshot_date="2026-01-31T01:00:00+01:00")
TEMPLATED = everything(content_template=TEMPLATE)
IDS = (a_uuid(3), a_uuid(4))
BESIDE = {
    ("aws_account", "1"),
    ("aws_account", "2"),
    ("policy", POLICY),
    ("tailoring", POLICY, 8),
}
FIRST = {RED_HAT_BY_URL, ("by_uuid", IDS, (RED_HAT,)), ("by_uuid", IDS, CUSTOM_ORIGINS), *BESIDE}
FIRST_DATED = {*FIRST, ("by_url", ("https://own.example/2", "https://own.example/5"), CUSTOM_ORIGINS)}
FIRST_TEMPLATED = {*BESIDE, ("template", TEMPLATE)}
OF_TEMPLATE = (a_uuid(1), a_uuid(2))
SECOND_TEMPLATED = {("by_uuid", OF_TEMPLATE, (RED_HAT,)), ("by_uuid", OF_TEMPLATE, CUSTOM_ORIGINS)}
KNOWN = {
    "red_hat": (known(1, BASEOS), known(4, "https://cdn.example/4")),
    "customer": (
        known(2, "https://own.example/2", origin="external"),
        known(3, "https://own.example/3", origin="upload"),
        known(5, "https://own.example/5", origin="community"),
    ),
    "accounts": {"1": "111111111111", "2": None},
    "snapshots_known": tuple(map(a_snapshot, range(1, 6))),
    "template_known": Template(TEMPLATE, "t", OF_TEMPLATE, (a_snapshot(1), a_snapshot(2))),
}
SNAPSHOTS = ("snapshots", "2026-01-31T00:00:00Z", tuple(map(a_uuid, (1, 4, 2, 5, 3))))


def without_flag(world):
    return [call for call in world.calls if call != ("flag",)]


def once(world, *expected):
    """Each of the calls was made once, and no others; the order within is free."""
    assert sorted(map(repr, without_flag(world))) == sorted(map(repr, expected))


def test_a_request_that_needs_nothing_asks_nobody(gathered):
    world = World()
    assert gathered(world, compose_request(), a_distribution("centos-9", a_repository())) == Answers()
    assert world.calls == []


def test_everything_is_asked_for_at_once_and_each_once(gathered):
    world = World(Rounds(FIRST), **KNOWN)
    found = gathered(world)
    once(world, *FIRST)
    assert found == Answers(
        red_hat=KNOWN["red_hat"],
        customer=(known(3, "https://own.example/3", origin="upload"),),
        accounts={"1": "111111111111", "2": None},
        policy=Policy(POLICY, "ref", 9),
        tailoring="{}",
    )


def test_a_date_takes_two_rounds(gathered):
    world = World(Rounds(FIRST_DATED), **KNOWN)
    found = gathered(world, DATED)
    first, last = world.calls[:-1], world.calls[-1]
    assert {*first} - {("flag",)} == FIRST_DATED
    assert (last[:2], {*last[2]}) == (SNAPSHOTS[:2], {*SNAPSHOTS[2]})
    once(world, *FIRST_DATED, last)
    assert len(last[2]) == len(SNAPSHOTS[2])
    assert found.snapshots == KNOWN["snapshots_known"]
    assert {*found.customer} == {*KNOWN["customer"]}
    assert {*found.red_hat} == {*KNOWN["red_hat"]}


def test_a_template_takes_two_rounds(gathered):
    world = World(Rounds(FIRST_TEMPLATED, SECOND_TEMPLATED), **KNOWN)
    found = gathered(world, TEMPLATED)
    once(world, *FIRST_TEMPLATED, *SECOND_TEMPLATED)
    second = set(world.calls[-2:])
    assert second == SECOND_TEMPLATED
    assert found.template == KNOWN["template_known"]
    assert found.red_hat == (known(1, BASEOS),)
    assert found.customer == (known(2, "https://own.example/2", origin="external"),)


def test_a_template_with_a_subscription_asks_for_red_hat_s_among_the_custom_ones_too(gathered):
    named = ("by_uuid", (a_uuid(4),), (RED_HAT,))
    world = World(Rounds({*FIRST_TEMPLATED, named}, SECOND_TEMPLATED), **KNOWN)
    templated = everything(content_template=TEMPLATE)
    templated["customizations"]["subscription"] = SUBSCRIPTION
    found = gathered(world, templated)
    once(world, named, *FIRST_TEMPLATED, *SECOND_TEMPLATED)
    assert {*found.red_hat} == {*KNOWN["red_hat"]}


def test_snapshots_of_nothing_are_not_asked_for(gathered):
    world = World()
    document = compose_request(image={"snapshot_date": "2026-01-31"})
    assert gathered(world, document) == Answers()
    once(world, RED_HAT_BY_URL)


@pytest.mark.parametrize("template", [None, Template(TEMPLATE)])
def test_a_template_without_repositories_takes_one_round(gathered, template):
    world = World(template_known=template)
    assert gathered(world, compose_request(image={"content_template": TEMPLATE})).template == template
    once(world, ("template", TEMPLATE))


def test_own_context_goes_along_with_each_call(gathered):
    world = World(Rounds(FIRST_DATED), **KNOWN)
    token = ROLE.set("the caller's")
    try:
        gathered(world, DATED)
    finally:
        ROLE.reset(token)
    assert world.roles == {"the caller's"}


@pytest.mark.parametrize(
    ("failing", "name", "value"),
    [("template", "template", None), ("policy", "policy", None), ("tailoring", "tailoring", None)],
)
def test_what_a_back_end_does_not_know_is_an_answer(gathered, failing, name, value):
    world = World(failing={failing: (None, NotFoundError("unknown"))}, **KNOWN)
    found = gathered(world, TEMPLATED)
    assert getattr(found, name) is value
    assert found.tailoring_missing is (failing == "tailoring")
    assert found.accounts == KNOWN["accounts"]


NEEDS = [
    ("content_sources", compose_request(image={"snapshot_date": "2026-01-31"})),
    ("content_sources", compose_request(image={"content_template": TEMPLATE})),
    ("provisioning", compose_request("aws", "aws", image={"options": {"share_with_sources": ["1"]}})),
    ("compliance", compose_request(customizations={"openscap": {"policy_id": POLICY}})),
]


@pytest.mark.parametrize(("missing", "document"), NEEDS)
def test_a_back_end_that_is_not_set_up_and_needed_is_unavailable_for_good(gathered, missing, document):
    world = World(**KNOWN)
    with pytest.raises(UnavailableError) as refused:
        gathered(world, document, without=(missing,))
    assert refused.value.retry_after is None
    assert missing.replace("_", " ") in refused.value.detail
    assert without_flag(world) == []


@pytest.mark.parametrize(
    "customizations",
    [
        {},
        {"payload_repositories": [{"id": a_uuid(1), "baseurl": "https://own.example/1", "rhsm": False}]},
        {"custom_repositories": [{"id": a_uuid(1)}], "subscription": SUBSCRIPTION},
    ],
)
def test_the_latest_content_is_built_without_content_sources(gathered, customizations):
    world = World()
    document = compose_request(customizations=customizations)
    assert gathered(world, document, without=("content_sources", "provisioning", "compliance")) == Answers()
    assert world.calls == []


@pytest.mark.parametrize(("missing", "document"), NEEDS)
def test_what_is_not_needed_may_be_missing(gathered, missing, document):
    others = {"content_sources", "provisioning", "compliance"} - {missing}
    assert gathered(World(**KNOWN), document, without=others)


@pytest.mark.parametrize("without", [(), ("compliance",)])
def test_with_the_flag_off_a_policy_is_refused(gathered, without):
    world = World(flag=False, **KNOWN)
    with pytest.raises(InvalidRequestError) as refused:
        gathered(world, without=without)
    assert refused.value.detail == FLAG_OFF
    assert not {"policy", "tailoring"} & {call[0] for call in world.calls}


def test_the_flag_matters_for_policies_only(gathered):
    world = World(flag=False, **KNOWN)
    profile = compose_request(customizations={"openscap": {"profile_id": "p"}})
    assert gathered(world, profile).red_hat == (known(1, BASEOS),)
    assert ("flag",) not in world.calls


def test_the_flag_is_asked_once(gathered):
    world = World(**KNOWN)
    gathered(world)
    assert world.calls.count(("flag",)) == 1


@pytest.mark.parametrize("image", [{"snapshot_date": "yesterday"}, {}])
def test_a_question_that_cannot_be_asked_is_refused_before_any_other(gathered, image):
    world = World(**KNOWN)
    with pytest.raises(InvalidRequestError) as refused:
        gathered(world, everything(**image), a_distribution("centos-9", a_repository()))
    assert ("snapshot_date" if image else POLICY) in refused.value.detail
    assert world.calls == []


ERRORS = [
    UnavailableError("away", retry_after=9),
    ForbiddenError("no"),
    InvalidRequestError("odd"),
    RuntimeError("bug"),
]
FIRST_ROUND = ["by_url", "by_uuid", "aws_account", "policy", "tailoring"]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("failing", FIRST_ROUND)
def test_an_error_is_raised_as_it_is_and_nothing_more_is_asked(gathered, failing, error):
    world = World(failing={failing: (None, error)}, **KNOWN)
    with pytest.raises(type(error)) as raised:
        gathered(world, DATED)
    assert raised.value is error
    assert "snapshots" not in {call[0] for call in world.calls}


@pytest.mark.parametrize("failing", ["snapshots"])
def test_an_error_of_the_second_round_is_raised_too(gathered, failing):
    error = UnavailableError("away")
    with pytest.raises(UnavailableError) as raised:
        gathered(World(failing={failing: (None, error)}, **KNOWN), DATED)
    assert raised.value is error


@pytest.mark.parametrize("failing", FIRST_ROUND)
def test_an_error_is_raised_after_all_have_ended(gathered, failing):
    """The others end a while after the one that fails."""
    failed = threading.Event()

    class Failing(World):
        def _called(self, *call):
            if call[0] == failing:
                failed.set()
            super()._called(*call)

    late = {name: (failed, None) for name in FIRST_ROUND if name != failing}
    world = Failing(rounds=Rounds(FIRST_DATED), failing={**late, failing: (None, UnavailableError("away"))}, **KNOWN)
    with pytest.raises(UnavailableError):
        gathered(world, DATED)
    assert {*world.ended} == FIRST_DATED


def test_of_several_errors_one_is_raised(gathered):
    errors = {"by_url": (None, ForbiddenError("no")), "policy": (None, UnavailableError("away"))}
    with pytest.raises((ForbiddenError, UnavailableError)):
        gathered(World(failing=errors, **KNOWN), DATED)
