"""Start a build: what is asked in which order, and what becomes of the reservation (spec 10, Composes, Quota)."""

import json
import re
from datetime import timedelta
from uuid import uuid4

import pytest

from adapters.embedded.composer.schema import compose_request_validator
from domain.compose.lookups import Answers
from domain.distributions import AllowList, Architecture, BootcImage, Catalogue
from domain.errors import (
    ConfigurationError,
    ForbiddenError,
    InvalidRequestError,
    QuotaExceededError,
    UnavailableError,
)
from domain.identity import Identity
from domain.quota import Quota
from domain.submission import Accepted, Refused, Unanswered
from image_builder.usecases import compose as use_case
from ports.deadline import left
from tests.support.builders import SUBSCRIPTION, compose_request
from tests.support.domain_builders import CONTENT, UPLOAD, a_distribution, a_repository, a_uuid, completed, hash_of

CALLER = Identity("000001", account_number="7", email="u@example.com", entitled=False)
TOO_LARGE = 64 * 1024**3 + 1
QUOTA = Quota(3, timedelta(days=14))
REFERENCE = "quay.io/a/image:latest"
BOOTC = Architecture("x86_64", bootc=(BootcImage("bootable-container-iso", REFERENCE, ("quay.io/a/payload:latest",)),))
KNOWN_NOT_STARTED = [
    Refused(400, "30", "no"),
    Refused(400, "10", "no"),
    Refused(500, "1000", "panic"),
    Refused(404),
    Unanswered(may_have_started=False),
]
UNKNOWN = [Refused(500), Refused(502), Refused(504), Unanswered(may_have_started=True)]


class FakeStarts:
    """Reservations and composes in memory; `failing` names the calls that raise, with what."""

    def __init__(self):
        self.reserved = {}
        self.composes = {}
        self.calls = []
        self.failing = {}

    def reserve(self, start, tenant, quota):
        self._called("reserve")
        if quota is not None and len(self.reserved) + len(self.composes) >= quota.limit:
            return False
        self.reserved[start] = tenant
        return True

    def release(self, start):
        self._called("release")
        self.reserved.pop(start, None)

    def record(self, start, compose_id, compose):
        self._called("record")
        del self.reserved[start]
        self.composes[compose_id] = compose

    def _called(self, name):
        self.calls.append(name)
        if name in self.failing:
            raise self.failing[name]


class FakeComposer:
    """Answers with `outcome`; cancelling fails as often as `cancel_fails`."""

    def __init__(self, starts):
        self.outcome = Accepted(uuid4())
        self.submitted = []
        self.cancelled = []
        self.cancel_fails = 0
        self.reserved_while_asked = []
        self._starts = starts

    def submit(self, request):
        compose_request_validator().validate(request)
        self.submitted.append(request)
        self.reserved_while_asked.append(len(self._starts.reserved))
        return self.outcome

    def cancel(self, compose_id):
        if self.cancel_fails:
            self.cancel_fails -= 1
            raise UnavailableError("The composer gives no usable answer")
        self.cancelled.append(compose_id)


class FakeQuotas:
    def __init__(self):
        self.quota = QUOTA
        self.asked = []

    def of(self, tenant):
        self.asked.append(tenant)
        if isinstance(self.quota, Exception):
            raise self.quota
        return self.quota


class World:
    """The use case and everything around it."""

    def __init__(self):
        self.starts = FakeStarts()
        self.composer = FakeComposer(self.starts)
        self.quotas = FakeQuotas()
        self.hashed = []
        catalogue = Catalogue(
            {
                "centos-9": a_distribution("centos-9", a_repository()),
                "rhel-9.8": a_distribution("rhel-9.8", a_repository(rhsm=True)),
                "centos-10": a_distribution("centos-10", a_repository(), restricted=True),
                "hummingbird": a_distribution("hummingbird", architectures={"x86_64": BOOTC}),
            },
            AllowList({"000002": (re.compile("^centos-10$"),)}),
        )
        self.gathered = []
        self.answers = Answers()
        self._start = use_case.StartCompose(
            catalogue=catalogue,
            gather=self._gather,
            upload=UPLOAD,
            content=CONTENT,
            deadline=30.0,
            quotas=self.quotas,
            hasher=self._hash,
            starts=self.starts,
            composer=self.composer,
        )

    def __call__(self, document=None, identity=CALLER):
        return self._start(identity, completed(compose_request() if document is None else document))

    def refuses(self, document=None, error=Exception, identity=CALLER):
        with pytest.raises(error) as refused:
            self(document, identity)
        return refused.value

    def _gather(self, identity, request, distribution):
        self.gathered.append((identity, request, distribution, left()))
        if isinstance(self.answers, Exception):
            raise self.answers
        return self.answers

    def _hash(self, password):
        self.hashed.append(password)
        return hash_of(password)

    @property
    def row(self):
        (row,) = self.starts.composes.values()
        return row


@pytest.fixture
def world(monkeypatch):
    monkeypatch.setattr(use_case.time, "sleep", lambda _seconds: None)
    return World()


def test_a_build_is_reserved_then_submitted_then_recorded(world):
    compose_id = world()
    assert compose_id == world.composer.outcome.id
    assert world.starts.calls == ["reserve", "record"]
    assert world.composer.reserved_while_asked == [1]
    assert list(world.starts.composes) == [compose_id]
    assert world.starts.reserved == {}


# Each fault of a request, from the first that is looked at to the last.
FAULTS = {
    "both sources": {"bootc": {"reference": "nowhere"}},
    "both dates": {"snapshot_date": "2026-01-31", "content_template": "t"},
    "distribution": {"distribution": "fedora-43"},
    "size": {"size": TOO_LARGE},
    "target": {"upload": "gcp"},
    "quota": {},
}
SAID = {
    "both sources": (InvalidRequestError, "either distribution or bootc needs to be set, but not both"),
    "both dates": (
        InvalidRequestError,
        "Either a snapshot date or content template can be specified, but not both",
    ),
    "distribution": (InvalidRequestError, "distribution not available"),
    "size": (InvalidRequestError, "Total AWS image size cannot exceed 68719476736 bytes"),
    "target": (InvalidRequestError, "Invalid image type for upload target"),
    "quota": (QuotaExceededError, "Quota of 0 builds per 14 days exceeded for user"),
}


def faulty(*faults):
    fields = {name: value for fault in faults for name, value in FAULTS[fault].items()}
    image = {name: fields.pop(name) for name in ("snapshot_date", "content_template", "size") if name in fields}
    return compose_request("aws", fields.pop("upload", "aws"), image=image, **fields)


@pytest.mark.parametrize("first", FAULTS)
def test_of_several_faults_the_first_in_the_spec_s_order_is_told(world, first):
    order = list(FAULTS)
    world.quotas.quota = Quota(0, timedelta(days=14))
    error = world.refuses(faulty(*order[order.index(first) :]))
    assert (type(error), error.detail) == SAID[first]
    assert world.composer.submitted == []


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_alone_is_told(world, fault):
    if fault == "quota":
        world.quotas.quota = Quota(0, timedelta(days=14))
    error = world.refuses(faulty(fault))
    assert (type(error), error.detail) == SAID[fault]


def test_neither_distribution_nor_bootc_is_refused(world):
    error = world.refuses(compose_request(distribution=None), InvalidRequestError)
    assert error.detail == "either distribution or bootc needs to be set"


@pytest.mark.parametrize(
    "document",
    [
        compose_request("aws", "aws", image={"options": {}}),
        compose_request("azure", "azure", image={"options": {}}),
        compose_request(customizations={"files": [{"path": "/x", "data": "%", "data_encoding": "base64"}]}),
        compose_request(customizations={"users": [{"name": "u", "password": "$1$salt$abc"}]}),
        compose_request(image={"snapshot_date": "2026-01-31"}),
        compose_request(image={"content_template": a_uuid(9)}),
        compose_request("aws", "aws", image={"options": {"share_with_sources": ["1"]}}),
        compose_request(distribution=None, bootc={"reference": "nowhere"}),
    ],
)
def test_a_request_at_fault_is_never_counted(world, document):
    world.quotas.quota = Quota(0, timedelta(days=14))
    world.refuses(document, InvalidRequestError)
    assert world.starts.calls == []


def test_a_distribution_that_needs_an_entitlement_does_not_exist_without_one(world):
    error = world.refuses(compose_request(distribution="rhel-9.8"), InvalidRequestError)
    assert error.detail == "distribution not available"


def test_an_entitled_caller_builds_it(world):
    assert world(compose_request(distribution="rhel-9.8"), Identity("1", entitled=True))


def test_a_restricted_distribution_is_forbidden(world):
    error = world.refuses(compose_request("aws", "gcp", distribution="centos-10"), ForbiddenError)
    assert error.detail == "This account's organization is not authorized to build centos-10 images"


def test_an_allowed_organization_builds_it(world):
    assert world(compose_request(distribution="centos-10"), Identity("000002"))


def test_with_k_builds_left_k_are_started(world):
    for _ in range(QUOTA.limit):
        world.composer.outcome = Accepted(uuid4())
        world()
    error = world.refuses(error=QuotaExceededError)
    assert error.detail == "Quota of 3 builds per 14 days exceeded for user"
    assert len(world.composer.submitted) == QUOTA.limit


def test_the_quota_asked_for_is_the_tenant_s(world):
    world()
    assert world.quotas.asked == ["000001"]


def test_an_unlimited_tenant_builds(world):
    world.quotas.quota = None
    assert world()


def test_without_a_quota_nothing_is_submitted(world):
    world.quotas.quota = ConfigurationError("No quota is defined for this organization")
    world.refuses(error=ConfigurationError)
    assert world.composer.submitted == []


def test_without_the_database_nothing_is_submitted(world):
    world.starts.failing["reserve"] = UnavailableError("The database does not answer")
    world.refuses(error=UnavailableError)
    assert world.composer.submitted == []


def test_a_reservation_that_may_have_been_made_all_the_same_is_given_back(world):
    world.starts.failing["reserve"] = UnavailableError("The connection broke")
    world.refuses(error=UnavailableError)
    assert world.starts.calls == ["reserve", "release"]


@pytest.mark.parametrize("outcome", KNOWN_NOT_STARTED, ids=repr)
def test_a_start_known_to_have_failed_gives_its_reservation_back(world, outcome):
    world.composer.outcome = outcome
    error = world.refuses()
    assert (type(error), error.detail) == (type(outcome.error()), outcome.error().detail)
    assert world.starts.calls == ["reserve", "release"]
    assert world.starts.reserved == {}


@pytest.mark.parametrize("outcome", UNKNOWN, ids=repr)
def test_a_start_of_unknown_outcome_stays_counted(world, outcome):
    world.composer.outcome = outcome
    error = world.refuses()
    assert (type(error), error.detail) == (type(outcome.error()), outcome.error().detail)
    assert world.starts.calls == ["reserve"]
    assert len(world.starts.reserved) == 1


def test_a_build_is_submitted_once_whatever_comes_of_it(world):
    for outcome in [*KNOWN_NOT_STARTED, *UNKNOWN]:
        world = World()
        world.composer.outcome = outcome
        world.refuses()
        assert len(world.composer.submitted) == 1


def test_a_reservation_that_cannot_be_given_back_does_not_hide_the_reason(world):
    world.composer.outcome = Refused(400, "24", "the reason")
    world.starts.failing["release"] = UnavailableError("The database does not answer")
    assert world.refuses(error=InvalidRequestError).detail == "the reason"


@pytest.mark.parametrize("error", [UnavailableError("The database does not answer"), RuntimeError("unforeseen")])
def test_a_build_that_cannot_be_recorded_is_cancelled_and_given_back(world, error):
    world.starts.failing["record"] = error
    assert world.refuses(error=UnavailableError).retry_after > 0
    assert world.composer.cancelled == [world.composer.outcome.id]
    assert world.starts.reserved == {}


def test_cancelling_is_tried_again(world):
    world.starts.failing["record"] = UnavailableError("The database does not answer")
    world.composer.cancel_fails = 2
    world.refuses(error=UnavailableError)
    assert world.composer.cancelled == [world.composer.outcome.id]
    assert world.starts.reserved == {}


def test_a_build_that_can_neither_be_recorded_nor_cancelled_stays_counted(world):
    world.starts.failing["record"] = UnavailableError("The database does not answer")
    world.composer.cancel_fails = 1000
    world.refuses(error=UnavailableError)
    assert world.composer.cancelled == []
    assert len(world.starts.reserved) == 1


def test_a_cancelled_build_whose_reservation_cannot_be_given_back_is_503(world):
    world.starts.failing.update(record=UnavailableError("away"), release=UnavailableError("away"))
    world.refuses(error=UnavailableError)
    assert world.composer.cancelled == [world.composer.outcome.id]


def test_the_row_knows_whose_build_it_is(world):
    world(compose_request(image_name="mine", client_id="ui"))
    row = world.row
    assert (row.tenant, row.account_number, row.email) == ("000001", "7", "u@example.com")
    assert (row.image_name, row.client_id) == ("mine", "ui")


def test_a_row_of_a_nameless_build_by_a_fedora_account(world):
    world(identity=Identity("chris"))
    row = world.row
    assert (row.tenant, row.account_number, row.email) == ("chris", "", "")
    assert (row.image_name, row.client_id) == (None, "api")


def test_the_row_holds_the_request_as_sent_with_defaults(world):
    document = compose_request(
        customizations={
            "files": [{"path": "/etc/x", "data": "dGV4dA==", "data_encoding": "base64"}],
            "packages": [],
            "fips": {},
        }
    )
    world(document)
    assert world.row.request == completed(document)
    assert world.row.request["customizations"]["files"][0] == {
        "path": "/etc/x",
        "data": "dGV4dA==",
        "data_encoding": "base64",
        "ensure_parents": False,
    }


def test_the_row_holds_no_password_and_tells_who_has_one(world):
    users = [
        {"name": "plain", "password": "the-secret"},
        {"name": "crypt", "password": "$6$salt$the-secret"},
        {"name": "empty", "password": "", "hasPassword": True},
        {"name": "none"},
    ]
    world(compose_request(customizations={"users": users}))
    stored = json.dumps(world.row.request)
    assert "the-secret" not in stored
    assert '"password"' not in stored
    told = {user["name"]: user["hasPassword"] for user in world.row.request["customizations"]["users"]}
    assert told == {"plain": True, "crypt": True, "empty": False, "none": False}


def test_the_composer_gets_hashes_of_the_plain_passwords(world):
    users = [{"name": "plain", "password": "secret"}, {"name": "crypt", "password": "$6$salt$abc"}]
    world(compose_request(customizations={"users": users}))
    sent = world.composer.submitted[0]["customizations"]["users"]
    assert [user["password"] for user in sent] == [hash_of("secret"), "$6$salt$abc"]
    assert world.hashed == ["secret"]


def test_a_request_refused_for_what_it_asks_costs_no_hashing(world):
    users = {"users": [{"name": "u", "password": "secret"}]}
    for document in (
        compose_request("aws", "gcp", customizations=users),
        compose_request("aws", "aws", image={"size": TOO_LARGE}, customizations=users),
        compose_request(distribution="fedora-43", customizations=users),
        compose_request(distribution=None, bootc={"reference": "nobody/lists:it"}, customizations=users),
        compose_request("aws", "aws", image={"options": {}}, customizations=users),
    ):
        world.refuses(document, InvalidRequestError)
    assert world.hashed == []


def test_back_ends_are_asked_once_for_the_caller_within_the_deadline(world):
    world(compose_request(distribution="rhel-9.8"), Identity("1", entitled=True))
    ((identity, request, distribution, seconds),) = world.gathered
    assert identity == Identity("1", entitled=True)
    assert (request.distribution, distribution.name) == ("rhel-9.8", "rhel-9.8")
    assert 29 < seconds <= 30


def test_what_back_ends_answer_is_built_from(world):
    world.answers = Answers(accounts={"7": "210987654321"})
    world(compose_request("aws", "aws", image={"options": {"share_with_sources": ["7"]}}))
    options = world.composer.submitted[0]["image_request"]["upload_options"]
    assert options["share_with_accounts"] == ["210987654321"]


@pytest.mark.parametrize("error", [UnavailableError("away"), ForbiddenError("no"), InvalidRequestError("flag off")])
def test_what_back_ends_refuse_is_told_and_nothing_is_counted(world, error):
    world.answers = error
    assert world.refuses() is error
    assert world.starts.calls == []
    assert world.quotas.asked == []


def from_bootc(image_type="bootable-container-iso", **bootc):
    return compose_request(image_type, distribution=None, bootc={"reference": REFERENCE, **bootc})


def with_file(data):
    return compose_request(customizations={"files": [{"path": "/x", "data": data, "data_encoding": "base64"}]})


@pytest.mark.parametrize(
    "document",
    [
        *map(faulty, ("both sources", "both dates", "distribution", "size", "target")),
        compose_request("aws", "aws", image={"options": {}}),
        from_bootc(reference="nowhere"),
        from_bootc(iso_payload_reference="nowhere"),
        from_bootc("guest-image", iso_payload_reference="quay.io/a/payload:latest"),
        with_file("%"),
        with_file("gICA"),
        compose_request(customizations={"users": [{"name": "u", "password": "$1$salt$abc"}]}),
        compose_request(image={"content_template": a_uuid(9)}, customizations={"subscription": SUBSCRIPTION}),
    ],
)
def test_nobody_is_asked_about_a_request_that_is_refused_for_itself(world, document):
    world.refuses(document, InvalidRequestError)
    assert world.gathered == []


def test_the_upload_target_is_looked_at_before_what_the_image_is_made_of(world):
    files = {"files": [{"path": "/x", "data": "%", "data_encoding": "base64"}]}
    nowhere = {"reference": "nowhere"}
    for document in (
        compose_request("aws", "gcp", customizations=files),
        compose_request("aws", "gcp", distribution=None, bootc=nowhere),
    ):
        assert world.refuses(document, InvalidRequestError).detail == "Invalid image type for upload target"


def test_a_bootc_image_has_no_distribution_to_ask_for(world):
    world(from_bootc(iso_payload_reference="quay.io/a/payload:latest"))
    assert [distribution for _, _, distribution, _ in world.gathered] == [None]
