"""A customer's own repositories as of a date, or replaced by a content template's."""

import pytest

from domain.content import Template
from tests.support.customer_repositories import (
    CUSTOM,
    DATE,
    ORIGINS,
    REACHED,
    READ,
    TEMPLATE,
    URL,
    custom,
    customer_repository,
    payload,
    refused,
    sent,
)
from tests.support.domain_builders import a_snapshot, a_uuid

SNAPSHOTS = [
    ({}, {}, {}),
    ({"gpg_key": "KEY"}, {"gpgkey": "KEY", "check_gpg": True}, {"gpgkey": ["KEY"], "check_gpg": True}),
    ({"module_hotfixes": True}, {"module_hotfixes": True}, {"module_hotfixes": True}),
    ({"metadata_verification": True}, {"check_repo_gpg": True}, {"check_repo_gpg": True}),
    ({"name": "theirs"}, {}, {"name": "theirs"}),
]


@pytest.mark.parametrize("theirs", ["", "/"])
@pytest.mark.parametrize("ours", ["", "/"])
@pytest.mark.parametrize("given", [{}, {"id": a_uuid(7)}, {"id": "mine"}, {"gpgkey": "GIVEN", "check_gpg": False}])
@pytest.mark.parametrize(("fields", "expected", "_in_custom"), SNAPSHOTS)
def test_a_date_takes_the_snapshot_of_a_payload_repository_by_address(
    fields, expected, _in_custom, given, ours, theirs
):
    entry = {"baseurl": URL + ours, "rhsm": True, "ignore_ssl": True, **given}
    answers = {
        "customer": (customer_repository(7, "https://own.example/7"), customer_repository(url=URL + theirs, **fields))
    }
    found = payload(entry, image=DATE, snapshots=(a_snapshot(7), a_snapshot(2)), **answers)
    assert found == [{"baseurl": READ, "rhsm": False, **expected}]


@pytest.mark.parametrize("theirs", ["", "/"])
@pytest.mark.parametrize("ours", ["", "/"])
@pytest.mark.parametrize("identifier", [a_uuid(7), "mine"])
@pytest.mark.parametrize(("fields", "_expected", "expected"), SNAPSHOTS)
def test_a_date_takes_the_snapshot_of_a_custom_repository_by_address(
    fields, _expected, expected, identifier, ours, theirs
):
    entry = {**CUSTOM, "id": identifier, "baseurl": [URL + ours]}
    answers = {
        "customer": (customer_repository(7, "https://own.example/7"), customer_repository(url=URL + theirs, **fields))
    }
    found = custom(entry, image=DATE, snapshots=(a_snapshot(7), a_snapshot(2)), **answers)
    assert found == [{"id": a_uuid(2), "baseurl": [REACHED], "enabled": False, **expected}]


@pytest.mark.parametrize("address", [None, "https://elsewhere.example"])
@pytest.mark.parametrize("origin", ORIGINS)
def test_a_date_takes_a_repository_by_its_id_else(origin, address):
    answers = {"customer": (customer_repository(origin=origin),), "snapshots": (a_snapshot(2),)}
    at = {} if address is None else {"baseurl": address}
    assert payload({"id": a_uuid(2), "rhsm": True, **at}, image=DATE, **answers) == [{"baseurl": READ, "rhsm": False}]
    several = {} if address is None else {"baseurl": [address]}
    assert custom({"id": a_uuid(2), **several}, image=DATE, **answers) == [
        {"id": a_uuid(2), "baseurl": [REACHED], "enabled": False}
    ]


THIRD = customer_repository(3, "https://own.example/3")


@pytest.mark.parametrize(
    ("addresses", "number"),
    [
        ([URL, THIRD.url], 2),
        ([THIRD.url, URL], 3),
        (["https://elsewhere.example", THIRD.url + "/", URL], 3),
        (["https://elsewhere.example", URL], 2),
        (["", THIRD.url], 3),
        (["https://elsewhere.example", "https://nowhere.example"], 7),
    ],
)
def test_a_date_takes_the_first_known_address_of_several_else_the_id(addresses, number):
    answers = {
        "customer": (customer_repository(7, "https://own.example/7"), customer_repository(), THIRD),
        "snapshots": tuple(map(a_snapshot, (7, 2, 3))),
    }
    found = custom({"id": a_uuid(7), "baseurl": addresses}, image=DATE, **answers)
    assert [each["id"] for each in found] == [a_uuid(number)]


def test_one_of_several_addresses_nobody_knows_is_refused_by_all():
    text = refused({"custom_repositories": [{"id": "mine", "baseurl": ["https://a.example", "https://b.example"]}]})
    assert "https://a.example, https://b.example" in text


def test_an_upload_without_an_address_is_not_found_by_none():
    answers = {
        "customer": (customer_repository(7, "", origin="upload"), customer_repository(2, "")),
        "snapshots": (a_snapshot(7), a_snapshot(2)),
    }
    assert payload({"id": a_uuid(2), "rhsm": False}, image=DATE, **answers)[0]["baseurl"] == READ


@pytest.mark.parametrize(
    "answers",
    [
        {},
        {"customer": (customer_repository(),)},
        {"customer": (customer_repository(),), "snapshots": (a_snapshot(7),)},
        {"snapshots": (a_snapshot(2),)},
    ],
)
@pytest.mark.parametrize(
    ("customizations", "named"),
    [
        ({"payload_repositories": [{"baseurl": URL, "rhsm": False}]}, URL),
        ({"payload_repositories": [{"baseurl": URL, "id": "mine", "rhsm": False}]}, URL),
        ({"payload_repositories": [{"id": a_uuid(2), "rhsm": False}]}, a_uuid(2)),
        ({"payload_repositories": [{"id": a_uuid(2), "rhsm": False, "metalink": "https://m"}]}, a_uuid(2)),
        ({"custom_repositories": [{"id": "mine", "baseurl": [URL]}]}, URL),
        ({"custom_repositories": [{"id": a_uuid(2)}]}, a_uuid(2)),
        ({"custom_repositories": [{"id": "mine"}]}, "mine"),
    ],
)
def test_one_without_a_snapshot_for_the_date_is_refused_by_its_name(customizations, named, answers):
    assert named in refused(customizations, **answers)


@pytest.mark.parametrize(
    "customizations",
    [
        {"payload_repositories": [{"baseurl": URL, "rhsm": False}]},
        {"payload_repositories": [{"id": a_uuid(2), "rhsm": False}]},
        {"custom_repositories": [{"id": "mine", "baseurl": [URL]}]},
        {"custom_repositories": [{"id": a_uuid(2)}]},
    ],
)
@pytest.mark.parametrize("snapshots", [(), (a_snapshot(2),)])
def test_one_with_snapshotting_off_is_refused(customizations, snapshots):
    text = refused(customizations, customer=(customer_repository(snapshotting=False),), snapshots=snapshots)
    assert text == f"Repository {URL} (id: {a_uuid(2)}) has snapshotting disabled"


def templated(*numbers):
    return Template(a_uuid(99), "t", tuple(map(a_uuid, numbers)), tuple(map(a_snapshot, numbers)))


OF_TEMPLATE = {
    "customer": (
        customer_repository(2, gpg_key="KEY", module_hotfixes=True, metadata_verification=True),
        customer_repository(3, origin="upload"),
        customer_repository(4, origin="community"),
    ),
    "template": templated(1, 4, 2, 3),
}
THEIRS = [
    {"baseurl": READ.replace("/2/", "/4/"), "rhsm": False},
    {
        "baseurl": READ,
        "rhsm": False,
        "gpgkey": "KEY",
        "check_gpg": True,
        "module_hotfixes": True,
        "check_repo_gpg": True,
    },
    {"baseurl": READ.replace("/2/", "/3/"), "rhsm": False},
]


@pytest.mark.parametrize(
    "customizations",
    [
        None,
        {},
        {"payload_repositories": []},
        {"payload_repositories": [{"baseurl": URL, "rhsm": False}, {"id": a_uuid(2), "rhsm": False}]},
        {"custom_repositories": [{"id": a_uuid(2)}, {"id": "mine", "baseurl": [URL]}, {"id": a_uuid(1)}]},
    ],
)
def test_a_template_s_custom_snapshots_are_the_only_own_repositories(customizations):
    assert sent(customizations, TEMPLATE, **OF_TEMPLATE) == {"payload_repositories": THEIRS}


@pytest.mark.parametrize(
    ("customizations", "expected"), [(None, None), ({}, {}), ({"hostname": "h"}, {"hostname": "h"})]
)
def test_a_template_of_red_hat_s_alone_adds_none(customizations, expected):
    assert sent(customizations, TEMPLATE, template=templated(1)) == expected


def test_other_customizations_stay_beside_a_template_s():
    found = sent({"hostname": "h"}, TEMPLATE, **OF_TEMPLATE)
    assert found == {"hostname": "h", "payload_repositories": THEIRS}
