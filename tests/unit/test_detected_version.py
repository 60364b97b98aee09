"""The RHEL that an image's snapshots turn out to be of."""

import pytest

from domain.compose.lookups import Answers
from domain.content import Template
from domain.distributions import BootcImage
from tests.support.builders import compose_request
from tests.support.domain_builders import (
    CONTENT,
    a_distribution,
    a_repository,
    a_rhel,
    a_snapshot,
    a_uuid,
    built,
    known,
)

DATE = {"snapshot_date": "2026-01-31"}
TEMPLATE = {"content_template": a_uuid(99)}
REQUESTED = a_rhel(
    "rhel-9", a_repository("baseos", rhsm=True), a_repository("appstream", rhsm=True), canonical_name="rhel-9.8"
)
ENTITLED = (
    REQUESTED,
    a_rhel("rhel-84"),
    a_rhel("rhel-8.10"),
    a_rhel("rhel-9.6", composer_name="rhel-96-of-the-composer"),
    a_rhel("rhel-95"),
    a_rhel("rhel-10.0", canonical_name="rhel-10.0"),
    a_rhel("rhel-9.4-nightly"),
    a_distribution("centos-9.3"),
)
RED_HAT = (known(1, "https://mirror.example/baseos"), known(2, "https://mirror.example/appstream"))


def distribution_of(image, versions, *, entitled=ENTITLED, red_hat=RED_HAT, customizations=None, **answers):
    numbers = range(1, len(versions) + 1)
    snapshots = tuple(a_snapshot(n, detected_os_version=v) for n, v in zip(numbers, versions, strict=True))
    if image == TEMPLATE:
        answers["template"] = Template(a_uuid(99), "t", tuple(map(a_uuid, numbers)), snapshots)
    else:
        answers["snapshots"] = snapshots
    request = compose_request(image=image, distribution="rhel-9", customizations=customizations)
    given = Answers(red_hat=red_hat, **answers)
    return built(request, distribution=REQUESTED, entitled=entitled, answers=given, content=CONTENT)["distribution"]


@pytest.mark.parametrize("image", [DATE, TEMPLATE])
@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        (("9.6", "9.6"), "rhel-96-of-the-composer"),
        (("", "9.6"), "rhel-96-of-the-composer"),
        (("9.5", "9.6"), "rhel-95"),
        (("8.4", ""), "rhel-84"),
        (("8.10", ""), "rhel-8.10"),
        (("10.0", ""), "rhel-10.0"),
        (("9.8", ""), "rhel-9.8"),
        (("", ""), "rhel-9.8"),
        (("9.7", "9.7"), "rhel-9.8"),
        (("9.7", "9.6"), "rhel-9.8"),
        (("9.4", ""), "rhel-9.8"),
        (("9.3", ""), "rhel-9.8"),
        (("9", ""), "rhel-9.8"),
        (("8.1", ""), "rhel-9.8"),
        (("garbage", ""), "rhel-9.8"),
    ],
)
def test_the_first_version_detected_decides(versions, expected, image):
    assert distribution_of(image, versions) == expected


@pytest.mark.parametrize("image", [DATE, TEMPLATE])
def test_a_release_the_caller_is_not_entitled_to_is_none(image):
    assert distribution_of(image, ("9.6", ""), entitled=(REQUESTED,)) == "rhel-9.8"
    assert distribution_of(image, ("9.6", ""), entitled=()) == "rhel-9.8"


def test_the_distribution_s_file_decides_what_is_of_a_version():
    aliased = a_rhel("mine", canonical_name="rhel-9.6")
    assert distribution_of(DATE, ("9.6", ""), entitled=(aliased,)) == "rhel-9.6"


def test_the_latest_snapshots_detect_nothing():
    assert distribution_of({}, ("9.6", "9.6")) == "rhel-9.8"


def test_a_version_of_a_customer_s_own_repository_is_none_of_the_image_s():
    own = (known(3, "https://own.example", origin="external"),)
    ours = {"payload_repositories": [{"baseurl": "https://own.example", "rhsm": False}]}
    assert distribution_of(DATE, ("", "", "9.6"), customer=own, customizations=ours) == "rhel-9.8"


def test_a_red_hat_repository_that_joins_the_image_counts():
    ours = {"custom_repositories": [{"id": a_uuid(3)}]}
    red_hat = (*RED_HAT, known(3, "https://cdn.example/3"))
    assert distribution_of(DATE, ("", "", "9.5"), red_hat=red_hat, customizations=ours) == "rhel-95"


def test_a_red_hat_repository_that_is_dropped_does_not_count():
    ours = {"payload_repositories": [{"id": a_uuid(3), "rhsm": True}]}
    red_hat = (*RED_HAT, known(3, "https://cdn.example/3"))
    assert distribution_of(DATE, ("", "", "9.5"), red_hat=red_hat, customizations=ours) == "rhel-9.8"


def test_the_rest_is_still_of_the_requested_version():
    ours = {
        "subscription": {
            "organization": 1,
            "activation-key": "k",
            "server-url": "s",
            "base-url": "b",
            "insights": True,
        }
    }
    numbers = (a_uuid(1),)
    template = Template(a_uuid(99), "t", numbers, (a_snapshot(1, detected_os_version="9.5"),))
    request = compose_request(
        image={**TEMPLATE, "content_template_name": "n"}, distribution="rhel-9", customizations=ours
    )
    given = Answers(red_hat=RED_HAT, template=template)
    sent = built(request, distribution=REQUESTED, entitled=ENTITLED, answers=given, content=CONTENT)
    assert sent["distribution"] == "rhel-95"
    assert sent["customizations"]["subscription"]["template_name"] == "n"


def test_a_bootable_container_has_no_distribution():
    request = compose_request(image=DATE, distribution=None, bootc={"reference": "r"})
    given = Answers(red_hat=RED_HAT, snapshots=(a_snapshot(1, detected_os_version="9.6"),))
    sent = built(request, bootc=(BootcImage("guest-image", "r"),), entitled=ENTITLED, answers=given, content=CONTENT)
    assert "distribution" not in sent
