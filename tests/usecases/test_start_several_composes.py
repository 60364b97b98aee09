"""Starting the builds of a blueprint: all or none, at the same time."""

import threading
import time
from uuid import uuid4

import pytest

from domain.blueprints.blueprint import BlueprintVersion
from domain.errors import InvalidRequestError, UnavailableError
from domain.quota import QuotaExceededError
from domain.submission import Accepted, Refused, Unanswered
from ports.deadline import remaining_seconds
from tests.support.builders import compose_request
from tests.support.domain_builders import a_uuid, completed, hash_of
from tests.support.waiting import PATIENCE

GUEST = compose_request("guest-image", "aws.s3")
GCP = compose_request("gcp", "gcp")
OCI = compose_request("oci", "oci.objectstorage")
UNFIT = compose_request("guest-image", "gcp")
# Seconds after which a thread is free for the next image.
LATER = 0.5


@pytest.fixture
def accepting(world):
    """A world whose composer accepts each image under an id of its own."""
    types = ("guest-image", "gcp", "oci")
    world.composer.by_image_type = {image_type: Accepted(uuid4()) for image_type in types}
    return world


def ids(world, *image_types):
    return tuple(world.composer.by_image_type[image_type].id for image_type in image_types)


def test_the_ids_are_in_the_order_of_the_images(accepting):
    assert accepting.several(GUEST, GCP, OCI) == ids(accepting, "guest-image", "gcp", "oci")
    assert set(accepting.starts.composes) == set(ids(accepting, "guest-image", "gcp", "oci"))
    assert accepting.starts.reserved == {}


def test_without_images_no_back_end_is_called(accepting):
    assert accepting.several() == ()
    assert accepting.starts.calls == []


def test_each_row_says_which_version_of_a_blueprint_it_is_from(accepting):
    version = BlueprintVersion(uuid4(), uuid4())
    accepting.several(GUEST, GCP, version=version)
    assert [compose.blueprint_version for compose in accepting.starts.composes.values()] == [version.id, version.id]
    assert [sent["blueprint_id"] for sent in accepting.composer.submitted] == [str(version.blueprint_id)] * 2


@pytest.mark.parametrize(
    "wrong",
    [
        UNFIT,
        compose_request(image={"snapshot_date": "yesterday"}),
        compose_request(customizations={"openscap": {"policy_id": a_uuid(50)}}),
    ],
)
def test_back_ends_are_asked_for_no_image_when_one_is_refused_by_its_request_alone(accepting, wrong):
    with pytest.raises(InvalidRequestError):
        accepting.several(GUEST, wrong)
    assert accepting.gathered == []


def test_one_image_that_cannot_be_built_starts_none(accepting):
    with pytest.raises(InvalidRequestError, match="Invalid image type for upload target"):
        accepting.several(GUEST, UNFIT)
    assert accepting.composer.submitted == []
    assert accepting.starts.calls == []


def test_the_quota_is_reserved_for_all_at_once_before_any_is_submitted(accepting):
    accepting.several(GUEST, GCP, OCI)
    assert accepting.starts.calls[0] == "reserve"
    assert accepting.starts.calls.count("reserve") == 1
    assert max(accepting.composer.reserved_while_asked) == 3


def test_a_quota_that_does_not_suffice_for_all_starts_none(accepting):
    accepting.several(GUEST)
    with pytest.raises(QuotaExceededError):
        accepting.several(GUEST, GCP, OCI)
    assert len(accepting.starts.composes) == 1
    assert len(accepting.composer.submitted) == 1


def test_the_images_are_submitted_at_the_same_time(accepting):
    everybody = threading.Barrier(3, timeout=PATIENCE)
    submit = accepting.composer.submit

    def meeting(request):
        everybody.wait()
        return submit(request)

    accepting.composer.submit = meeting
    assert len(accepting.several(GUEST, GCP, OCI)) == 3


def test_waiting_for_a_thread_does_not_extend_the_deadline(accepting):
    ends = []

    def slow(request):
        ends.append(time.monotonic() + remaining_seconds())
        threading.Event().wait(LATER)
        return Accepted(uuid4())

    accepting.quotas.quota = None
    accepting.composer.submit = slow
    accepting.several(*[GUEST] * 12)
    assert len(ends) == 12
    assert max(ends) - min(ends) < LATER


def test_a_partial_failure_names_the_started_builds_and_releases_the_others(accepting):
    accepting.composer.by_image_type["gcp"] = Refused(400, "30", "no such thing")
    with pytest.raises(InvalidRequestError) as refused:
        accepting.several(GUEST, GCP, OCI)
    assert "no such thing" in refused.value.detail
    for started in ids(accepting, "guest-image", "oci"):
        assert str(started) in refused.value.detail
        assert started in accepting.starts.composes
    assert accepting.starts.reserved == {}


def test_the_first_of_several_failures_is_raised(accepting):
    accepting.composer.by_image_type["gcp"] = Unanswered(may_have_started=False)
    accepting.composer.by_image_type["oci"] = Refused(400, "10", "no")
    with pytest.raises(UnavailableError) as failed:
        accepting.several(GUEST, GCP, OCI)
    assert failed.value.retry_after is not None
    assert str(ids(accepting, "guest-image")[0]) in failed.value.detail


def test_a_failure_of_all_builds_names_none(accepting):
    for image_type in ("guest-image", "gcp"):
        accepting.composer.by_image_type[image_type] = Refused(400, "10", "no")
    with pytest.raises(InvalidRequestError) as refused:
        accepting.several(GUEST, GCP)
    assert refused.value.detail == "Error resolving OSTree repo"


def test_a_build_that_may_have_started_keeps_counting_and_the_others_are_built(accepting):
    accepting.composer.by_image_type["gcp"] = Unanswered(may_have_started=True)
    with pytest.raises(UnavailableError):
        accepting.several(GUEST, GCP)
    assert len(accepting.starts.reserved) == 1
    assert list(accepting.starts.composes) == list(ids(accepting, "guest-image"))


def test_the_passwords_of_a_blueprint_are_hashed_once_for_all_images(accepting):
    customizations = completed(compose_request(customizations={"users": [{"name": "u", "password": "one"}]}))[
        "customizations"
    ]
    documents = [{**completed(document), "customizations": customizations} for document in (GUEST, GCP, OCI)]
    accepting.start_documents(documents)
    assert accepting.hashed == ["one"]
    sent = [request["customizations"]["users"][0]["password"] for request in accepting.composer.submitted]
    assert sent == [hash_of("one")] * 3


def test_images_of_a_blueprint_share_derived_customizations(accepting):
    customizations = {"files": [{"path": "/etc/a", "data": "eA==", "data_encoding": "base64"}]}
    documents = [{**completed(document), "customizations": customizations} for document in (GUEST, GCP, OCI)]
    accepting.start_documents(documents)
    files = [request["customizations"]["files"] for request in accepting.composer.submitted]
    assert files[0][0]["data"] == "x"
    assert files[0] is files[1] is files[2]


def test_large_requests_are_submitted_two_at_a_time(accepting):
    running, most = 0, 0
    lock = threading.Lock()
    submit = accepting.composer.submit

    def counting(request):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        threading.Event().wait(0.02)
        with lock:
            running -= 1
        submit(request)
        return Accepted(uuid4())

    accepting.composer.submit = counting
    accepting.quotas.quota = None
    large = {"files": [{"path": "/etc/a", "data": "x" * 3_000_000}]}
    documents = [{**completed(GUEST), "customizations": large} for _ in range(8)]
    accepting.start_documents(documents)
    assert most == 2
