"""Before a build starts: who may ask for what, in which order it is refused, who is asked ."""

from datetime import timedelta

import pytest

from domain.compose.lookups import Answers, Questions
from domain.errors import ForbiddenError, InvalidRequestError, UnavailableError
from domain.identity import Identity
from domain.quota import Quota, QuotaExceededError
from tests.support.builders import SUBSCRIPTION, compose_request
from tests.support.domain_builders import a_uuid
from tests.support.starting import PAYLOAD, REFERENCE, TOO_LARGE

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
    ((identity, questions, seconds),) = world.gathered
    assert identity == Identity("1", entitled=True)
    assert questions == Questions(red_hat_urls=("https://mirror.example/baseos",))
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
        from_bootc("guest-image", iso_payload_reference=PAYLOAD),
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


def test_a_bootc_image_has_no_repositories_to_ask_for(world):
    world(from_bootc(iso_payload_reference=PAYLOAD))
    assert [questions for _, questions, _ in world.gathered] == [Questions()]
