"""A customer's own repositories: of the build (payload) and of the machine (custom)."""

from dataclasses import replace

import pytest

from domain.compose.snapshots import ContentSettings
from domain.errors import InvalidRequestError
from tests.support.customer_repositories import (
    CUSTOM,
    DATE,
    LATEST,
    ORIGINS,
    URL,
    custom,
    customer_repository,
    payload,
    sent,
)
from tests.support.domain_builders import a_snapshot, a_uuid, known

PAYLOAD = {
    "baseurl": "https://given.example",
    "metalink": "https://given.example/metalink",
    "mirrorlist": "https://given.example/mirrors",
    "gpgkey": "GIVEN",
    "check_gpg": False,
    "check_repo_gpg": False,
    "ignore_ssl": True,
    "module_hotfixes": False,
    "rhsm": True,
}
FULL = customer_repository(
    name="theirs",
    gpg_key="KEY",
    module_hotfixes=True,
    metadata_verification=True,
    latest_snapshot_url=LATEST,
    label="l",
)
BARE = {"rhsm": False, "check_repo_gpg": False}


@pytest.mark.parametrize("answers", [{}, {"customer": (FULL,)}])
def test_what_a_request_says_is_sent_as_given(answers):
    assert payload({**PAYLOAD, "id": a_uuid(2)}, **answers) == [PAYLOAD]
    assert custom(CUSTOM, **answers) == [CUSTOM]


@pytest.mark.parametrize("name", [name for name in PAYLOAD if name != "rhsm"])
def test_each_field_of_a_payload_repository_alone_is_sent(name):
    ours = {"baseurl": URL, "rhsm": False, name: PAYLOAD[name]}
    assert payload(ours) == [{"check_repo_gpg": False, **ours}]


@pytest.mark.parametrize("name", CUSTOM)
def test_each_field_of_a_custom_repository_alone_is_sent(name):
    ours = {"id": "mine", "baseurl": [URL], name: CUSTOM[name]}
    assert custom(ours) == [ours]


def test_what_is_no_field_of_a_repository_is_not_sent():
    assert payload({"baseurl": URL, "rhsm": False, "surprise": 1}) == [{"baseurl": URL, **BARE}]
    assert custom({"id": "mine", "baseurl": [URL], "surprise": 1}) == [{"id": "mine", "baseurl": [URL]}]


@pytest.mark.parametrize("identifier", ["mine", "", a_uuid(7)])
def test_an_id_nobody_knows_leaves_a_repository_as_given(identifier):
    assert payload({"baseurl": URL, "rhsm": True, "id": identifier}, customer=(FULL,)) == [
        {**BARE, "baseurl": URL, "rhsm": True}
    ]
    assert custom({"id": identifier, "baseurl": [URL]}, customer=(FULL,)) == [{"id": identifier, "baseurl": [URL]}]


def test_a_repository_without_id_is_not_filled_though_its_address_is_known():
    assert payload({"baseurl": URL, "rhsm": False}, customer=(FULL,)) == [{"baseurl": URL, **BARE}]


@pytest.mark.parametrize("origin", ORIGINS)
def test_an_address_is_filled_in_by_origin(origin):
    expected = "https://content.example/latest/2/" if origin == "upload" else URL
    answers = {"customer": (customer_repository(origin=origin, latest_snapshot_url=LATEST),)}
    assert payload({"id": a_uuid(2), "rhsm": False}, **answers) == [{**BARE, "baseurl": expected}]
    assert custom({"id": a_uuid(2)}, **answers) == [{"id": a_uuid(2), "baseurl": [expected]}]


@pytest.mark.parametrize("base", ["https://c.example/base", "https://c.example/base/"])
@pytest.mark.parametrize("path", ["/a/b", "/a/b/"])
def test_an_upload_s_address_has_one_slash_at_each_joint_and_no_prefix(base, path):
    settings = ContentSettings(repo_url=base, repo_prefix="prefix")
    upload = customer_repository(origin="upload", latest_snapshot_url=f"http://theirs.example:80{path}")
    found = payload({"id": a_uuid(2), "rhsm": False}, customer=(upload,), content=settings)
    assert found == [{**BARE, "baseurl": f"https://c.example/base{path}"}]


@pytest.mark.parametrize(
    ("theirs", "ours", "in_payload", "in_custom"),
    [
        ({}, {}, {}, {}),
        ({"gpg_key": "KEY"}, {}, {"gpgkey": "KEY", "check_gpg": True}, {"gpgkey": ["KEY"], "check_gpg": True}),
        (
            {"gpg_key": "KEY"},
            {"check_gpg": False},
            {"gpgkey": "KEY", "check_gpg": False},
            {"gpgkey": ["KEY"], "check_gpg": False},
        ),
        ({"module_hotfixes": True}, {}, {"module_hotfixes": True}, {"module_hotfixes": True}),
        ({"module_hotfixes": False}, {}, {"module_hotfixes": False}, {"module_hotfixes": False}),
        ({"module_hotfixes": True}, {"module_hotfixes": False}, {"module_hotfixes": False}, {"module_hotfixes": False}),
        ({"name": "theirs"}, {}, {}, {"name": "theirs"}),
        ({"metadata_verification": True}, {}, {}, {}),
        (
            {"metadata_verification": True, "gpg_key": "KEY"},
            {},
            {"gpgkey": "KEY", "check_gpg": True},
            {"gpgkey": ["KEY"], "check_gpg": True, "check_repo_gpg": True},
        ),
        (
            {"metadata_verification": False, "gpg_key": "KEY"},
            {},
            {"gpgkey": "KEY", "check_gpg": True},
            {"gpgkey": ["KEY"], "check_gpg": True, "check_repo_gpg": False},
        ),
        (
            {"metadata_verification": True, "gpg_key": "KEY"},
            {"check_repo_gpg": False},
            {"gpgkey": "KEY", "check_gpg": True},
            {"gpgkey": ["KEY"], "check_gpg": True, "check_repo_gpg": False},
        ),
    ],
)
@pytest.mark.parametrize("origin", ORIGINS)
def test_what_a_request_is_silent_about_is_filled_in(origin, theirs, ours, in_payload, in_custom):
    repository = customer_repository(origin=origin, latest_snapshot_url="https://theirs.example/2", **theirs)
    address = "https://content.example/2" if origin == "upload" else URL
    assert payload({"id": a_uuid(2), "rhsm": False, **ours}, customer=(repository,)) == [
        {**BARE, "baseurl": address, **in_payload}
    ]
    assert custom({"id": a_uuid(2), **ours}, customer=(repository,)) == [
        {"id": a_uuid(2), "baseurl": [address], **in_custom}
    ]


NAMED = customer_repository(name="theirs", gpg_key="KEY")
FILLED = {"name": "theirs", "baseurl": [URL], "gpgkey": ["KEY"], "check_gpg": True}


@pytest.mark.parametrize("empty", [{"baseurl": []}, {"gpgkey": []}, {"name": ""}, {"baseurl": [], "gpgkey": []}])
def test_what_is_empty_in_a_custom_repository_is_filled_in_as_what_is_absent(empty):
    assert custom({"id": a_uuid(2), **empty}, customer=(NAMED,)) == [{"id": a_uuid(2), **FILLED}]


@pytest.mark.parametrize("empty", [{"baseurl": ""}, {"gpgkey": ""}, {"baseurl": "", "gpgkey": ""}])
def test_what_is_empty_in_a_payload_repository_is_filled_in_as_what_is_absent(empty):
    expected = {**BARE, "baseurl": URL, "gpgkey": "KEY", "check_gpg": True}
    assert payload({"id": a_uuid(2), "rhsm": False, **empty}, customer=(NAMED,)) == [expected]


@pytest.mark.parametrize("answers", [{}, {"customer": (customer_repository(2, ""),)}])
def test_what_is_empty_and_not_filled_in_is_left_out(answers):
    texts = {**dict.fromkeys(("mirrorlist", "gpgkey", "baseurl"), ""), "metalink": "https://given.example/metalink"}
    bare = {**BARE, "metalink": "https://given.example/metalink"}
    assert payload({"id": a_uuid(2), "rhsm": False, **texts}, **answers) == [bare]
    several = {**texts, "filename": "", "name": "", "gpgkey": [], "baseurl": []}
    assert custom({"id": a_uuid(2), **several}, **answers) == [{"id": a_uuid(2), "metalink": bare["metalink"]}]


def test_a_repository_without_an_address_and_an_id_is_refused():
    for build in (lambda: payload({"rhsm": False}), lambda: payload({"rhsm": False, "url": URL})):
        with pytest.raises(InvalidRequestError, match="baseurl, metalink, mirrorlist"):
            build()


def test_a_repository_with_an_unknown_id_is_sent_as_it_is():
    assert payload({"rhsm": False, "id": a_uuid(2)}) == [BARE]
    assert custom({"id": a_uuid(2), "baseurl": []}) == [{"id": a_uuid(2)}]


def test_false_and_nought_are_not_empty():
    ours = {"baseurl": [URL], "check_gpg": False, "enabled": False, "priority": 0}
    assert custom({"id": "mine", **ours}) == [{"id": "mine", **ours}]


def test_a_given_key_is_not_joined_by_theirs():
    answers = {"customer": (customer_repository(gpg_key="KEY"),)}
    assert payload({"id": a_uuid(2), "rhsm": False, "gpgkey": "GIVEN"}, **answers)[0]["gpgkey"] == "GIVEN"
    assert custom({"id": a_uuid(2), "gpgkey": ["GIVEN"]}, **answers)[0]["gpgkey"] == ["GIVEN"]


def test_repositories_keep_their_order():
    answers = {"customer": (customer_repository(2), customer_repository(3, "https://own.example/3"))}
    found = payload(*({"id": a_uuid(number), "rhsm": False} for number in (3, 2)), **answers)
    assert [each["baseurl"] for each in found] == ["https://own.example/3", URL]


@pytest.mark.parametrize("image", [None, DATE])
def test_red_hat_s_are_dropped(image):
    answers = {"red_hat": (known(5, "https://cdn.example/5"),), "snapshots": (a_snapshot(5),)}
    assert payload({"id": a_uuid(5), "rhsm": True, "baseurl": "https://x.example"}, image=image, **answers) is None
    assert custom({"id": a_uuid(5), "baseurl": ["https://x.example"]}, image=image, **answers) is None


@pytest.mark.parametrize("image", [None, DATE])
def test_the_others_stay_when_red_hat_s_are_dropped(image):
    answers = {
        "red_hat": (known(5, "https://cdn.example/5"),),
        "customer": (customer_repository(),),
        "snapshots": (a_snapshot(5), a_snapshot(2)),
    }
    assert len(payload({"id": a_uuid(5), "rhsm": True}, {"id": a_uuid(2), "rhsm": True}, image=image, **answers)) == 1
    assert len(custom({"id": a_uuid(5)}, {"id": a_uuid(2)}, image=image, **answers)) == 1


@pytest.mark.parametrize("image", [None, DATE])
def test_without_own_repositories_none_are_sent(image):
    answers = {"customer": (FULL,), "snapshots": (a_snapshot(2),)}
    assert sent(None, image, **answers) is None
    assert sent({}, image, **answers) == {}


@pytest.mark.parametrize("image", [None, DATE])
def test_an_id_is_the_same_in_capitals(image):
    small = "abcdefab-0000-4000-8000-000000000009"
    theirs = replace(customer_repository(url="https://own.example/9"), uuid=small)
    reached = replace(a_snapshot(2), repository_uuid=small)
    for identifier in (small, small.upper()):
        answers = {"customer": (theirs,), "snapshots": (reached,)}
        assert payload({"id": identifier, "rhsm": False}, image=image, **answers)[0].keys() >= {"baseurl"}
        red_hat = {"red_hat": (replace(theirs, origin="red_hat"),), "snapshots": (reached,)}
        assert payload({"id": identifier, "rhsm": False}, image=image, **red_hat) is None
