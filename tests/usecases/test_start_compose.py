"""Starting a build: its reservation and the stored compose."""

import json
import threading
from uuid import uuid4

import pytest

from adapters.crypt import sha512_crypt_hash
from adapters.fingerprints import HmacFingerprints
from domain.compose.passwords import MAX_PASSWORD_BYTES, MAX_PLAIN_PASSWORDS
from domain.errors import (
    ConfigurationError,
    InvalidRequestError,
    ReservationUnknownError,
    UnavailableError,
)
from domain.identity import Identity
from domain.quota import Quota, QuotaExceededError
from domain.starts import normalized_variants
from domain.submission import Accepted, Refused, Unanswered
from tests.support.builders import compose_request
from tests.support.domain_builders import completed, hash_of
from tests.support.starting import AGE, NOW, QUOTA, World
from tests.support.waiting import BRIEFLY, PATIENCE

KNOWN_NOT_STARTED = [
    Refused(400, "30", "no"),
    Refused(400, "10", "no"),
    Refused(500, "1000", "panic"),
    Refused(404),
    Unanswered(may_have_started=False),
]
UNKNOWN = [Refused(500), Refused(502), Refused(504), Unanswered(may_have_started=True)]


def test_a_build_is_reserved_then_submitted_then_recorded(world):
    compose_id = world()
    assert compose_id == world.composer.outcome.id
    assert world.starts.calls == ["reserve", "record"]
    assert world.composer.reserved_while_asked == [1]
    assert list(world.starts.composes) == [compose_id]
    assert world.starts.reserved == {}


def test_with_k_builds_left_k_are_started(world):
    for _ in range(QUOTA.limit):
        world.composer.outcome = Accepted(uuid4())
        world()
    error = world.refuses(error=QuotaExceededError)
    assert error.detail == "Quota of 3 builds per 14 days exceeded for user"
    assert len(world.composer.submitted) == QUOTA.limit


def test_builds_and_refusals_report_what_the_quota_leaves(world):
    left = []
    for _ in range(QUOTA.limit):
        world.composer.outcome = Accepted(uuid4())
        left.append(world.started().allowance.remaining)
    refused = world.refuses(error=QuotaExceededError).allowance
    assert left == [2, 1, 0]
    assert (refused.remaining, refused.next_free_at) == (0, NOW - AGE + QUOTA.window)
    assert "usage" not in world.starts.calls


def test_a_refusal_by_the_quota_is_counted_and_a_build_is_not(world):
    for _ in range(QUOTA.limit):
        world.composer.outcome = Accepted(uuid4())
        world()
    assert world.meter.quota_refusals == 0
    world.refuses(error=QuotaExceededError)
    assert world.meter.quota_refusals == 1


def test_an_unlimited_tenant_gets_no_allowance(world):
    world.quotas.quota = None
    assert world.started().allowance is None


def test_the_quota_of_the_tenant_is_read(world):
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


def test_an_unanswered_reservation_is_released(world):
    world.starts.failing["reserve"] = ReservationUnknownError("The connection broke")
    world.refuses(error=UnavailableError)
    assert world.starts.calls == ["reserve", "release"]


@pytest.mark.parametrize("outcome", KNOWN_NOT_STARTED, ids=repr)
def test_a_start_that_is_known_to_have_failed_is_released(world, outcome):
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


def test_a_build_is_submitted_once_whatever_the_outcome(world):
    for outcome in [*KNOWN_NOT_STARTED, *UNKNOWN]:
        world = World()
        world.composer.outcome = outcome
        world.refuses()
        assert len(world.composer.submitted) == 1


def test_a_failed_release_does_not_hide_the_error(world):
    world.composer.outcome = Refused(400, "24", "the reason")
    world.starts.failing["release"] = UnavailableError("The database does not answer")
    assert world.refuses(error=InvalidRequestError).detail == "the reason"


@pytest.mark.parametrize("error", [UnavailableError("The database does not answer"), RuntimeError("unforeseen")])
def test_a_build_that_cannot_be_recorded_is_cancelled_and_its_reservation_released(world, error):
    world.starts.failing["record"] = error
    assert world.refuses(error=UnavailableError).retry_after > 0
    assert world.composer.cancelled == [world.composer.outcome.id]
    assert world.starts.reserved == {}


def test_a_failed_cancellation_is_retried(world):
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


def test_a_cancelled_build_whose_reservation_cannot_be_released_is_unavailable(world):
    world.starts.failing.update(record=UnavailableError("away"), release=UnavailableError("away"))
    world.refuses(error=UnavailableError)
    assert world.composer.cancelled == [world.composer.outcome.id]


def test_a_build_that_cannot_be_recorded_is_cancelled_with_a_key_too(world):
    world.key = uuid4()
    world.starts.failing["record"] = RuntimeError("unforeseen")
    world.refuses(error=UnavailableError)
    assert world.composer.cancelled == [world.composer.outcome.id]
    assert world.starts.reserved == {}


def test_the_stored_compose_names_its_owner(world):
    world(compose_request(image_name="mine", client_id="ui"))
    row = world.row
    assert (row.tenant, row.account_number, row.email) == ("000001", "7", "u@example.com")
    assert (row.image_name, row.client_id) == ("mine", "ui")


def test_the_stored_compose_of_a_fedora_account_without_an_image_name(world):
    world(identity=Identity("chris"))
    row = world.row
    assert (row.tenant, row.account_number, row.email) == ("chris", "", "")
    assert (row.image_name, row.client_id) == (None, "api")


def test_the_stored_compose_has_the_request_with_defaults(world):
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


def test_the_stored_compose_has_no_password_and_says_which_users_have_one(world):
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


PLAIN_USERS = compose_request(
    customizations={"users": [{"name": "u", "password": "one"}, {"name": "v", "password": "two"}]}
)


def test_no_password_is_hashed_before_the_quota_is_reserved(world):
    world.hashing = lambda: world.starts.calls.append("hash")
    world(PLAIN_USERS)
    assert world.starts.calls == ["reserve", "hash", "hash", "record"]


def test_no_password_is_hashed_where_the_quota_does_not_suffice(world):
    world.quotas.quota = Quota(0, QUOTA.window)
    world.refuses(PLAIN_USERS, QuotaExceededError)
    assert world.hashed == []


def test_passwords_that_cannot_be_taken_are_refused_before_anything_is_reserved(world):
    for users in (
        [{"name": "u", "password": "x" * (MAX_PASSWORD_BYTES + 1)}],
        [{"name": "u", "password": "$1$md5$x"}],
        [{"name": str(number), "password": "x"} for number in range(MAX_PLAIN_PASSWORDS + 1)],
    ):
        world.refuses(compose_request(customizations={"users": users}), InvalidRequestError)
    assert world.starts.calls == []


def test_a_failure_of_hashing_releases_the_reservation(world):
    def fail():
        raise ValueError("no")

    world.hashing = fail
    world.refuses(PLAIN_USERS, ValueError)
    assert world.starts.reserved == {}
    assert world.composer.submitted == []


def test_passwords_that_are_not_hashed_in_time_are_unavailable_and_release_the_reservation(world):
    past_the_deadline = threading.Event()
    world.hurry(BRIEFLY)
    world.hashing = lambda: past_the_deadline.wait(PATIENCE)
    error = world.refuses(PLAIN_USERS, UnavailableError)
    past_the_deadline.set()
    assert "hashed" in error.detail
    assert world.starts.reserved == {}
    assert world.composer.submitted == []


def test_a_start_is_recorded_so_that_the_build_is_recognized_as_its_own(world):
    world.hasher = sha512_crypt_hash
    reserve, recorded = world.starts.reserve, []
    world.starts.reserve = lambda starts, *others: recorded.extend(starts) or reserve(starts, *others)
    world(PLAIN_USERS)
    (echo,), (start,) = world.composer.submitted, recorded
    prints = HmacFingerprints("secret")
    assert start.fingerprint in set(map(prints.compute, normalized_variants(echo)))


def test_the_composer_gets_hashes_of_the_plain_passwords(world):
    users = [{"name": "plain", "password": "secret"}, {"name": "crypt", "password": "$6$salt$abc"}]
    world(compose_request(customizations={"users": users}))
    sent = world.composer.submitted[0]["customizations"]["users"]
    assert [user["password"] for user in sent] == [hash_of("secret"), "$6$salt$abc"]
    assert world.hashed == ["secret"]
