"""A customer's own repositories: of the build (payload) and of the machine (custom) (spec 20, Customizations)."""

from dataclasses import replace

import pytest

from domain.compose.lookups import Answers
from domain.compose.snapshots import ContentSettings
from domain.content import Template
from tests.support.builders import compose_request
from tests.support.domain_builders import (
    CONTENT,
    a_repository,
    a_rhel,
    a_snapshot,
    a_uuid,
    built,
    known,
    refusal,
)

DATE = {"snapshot_date": "2026-01-31"}
TEMPLATE = {"content_template": a_uuid(99)}
BASE = known(1, "https://mirror.example/baseos")
URL = "https://own.example/2"
READ = "https://content.example/api/pulp-content/snapshots/2/"
REACHED = "https://reach.example/2/"
ORIGINS = ["external", "upload", "community"]
LATEST = "https://theirs.example/latest/2/"


def own(number=2, url=None, **fields):
    return known(number, URL if url is None else url, **{"origin": "external", **fields})


def arguments(customizations, image, answers):
    request = compose_request(image=image, distribution="rhel-9.8", customizations=customizations)
    red_hat = (BASE, *answers.pop("red_hat", ()))
    snapshots = (a_snapshot(1), *answers.pop("snapshots", ()))
    given = Answers(red_hat=red_hat, snapshots=snapshots, **answers)
    return request, {"distribution": a_rhel("rhel-9.8", a_repository(rhsm=True)), "answers": given}


def sent(customizations, image=None, *, content=CONTENT, **answers):
    request, given = arguments(customizations, image, answers)
    return built(request, content=content, **given).get("customizations")


def refused(customizations, image=DATE, **answers):
    request, given = arguments(customizations, image, answers)
    return refusal(request, content=CONTENT, **given)


def payload(*entries, image=None, **answers):
    found = sent({"payload_repositories": list(entries)}, image, **answers)
    assert found.keys() <= {"payload_repositories"}
    return found.get("payload_repositories")


def custom(*entries, image=None, **answers):
    found = sent({"custom_repositories": list(entries)}, image, **answers)
    assert found.keys() <= {"custom_repositories"}
    return found.get("custom_repositories")


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
CUSTOM = {
    "id": a_uuid(2),
    "name": "given",
    "baseurl": ["https://given.example", "https://given.example/second"],
    "gpgkey": ["GIVEN", "SECOND"],
    "check_gpg": False,
    "check_repo_gpg": False,
    "module_hotfixes": False,
    "filename": "given.repo",
    "metalink": "https://given.example/metalink",
    "mirrorlist": "https://given.example/mirrors",
    "priority": 7,
    "ssl_verify": False,
    "enabled": True,
}
FULL = own(
    name="theirs",
    gpg_key="KEY",
    module_hotfixes=True,
    metadata_verification=True,
    latest_snapshot_url=LATEST,
    label="l",
)
BARE = {"rhsm": False, "check_repo_gpg": False}


@pytest.mark.parametrize("answers", [{}, {"own": (FULL,)}])
def test_what_a_request_says_is_sent_as_given(answers):
    assert payload({**PAYLOAD, "id": a_uuid(2)}, **answers) == [PAYLOAD]
    assert custom(CUSTOM, **answers) == [CUSTOM]


@pytest.mark.parametrize("name", [name for name in PAYLOAD if name != "rhsm"])
def test_each_field_of_a_payload_repository_alone_is_sent(name):
    ours = {"baseurl": URL, "rhsm": False, name: PAYLOAD[name]}
    assert payload(ours) == [{"check_repo_gpg": False, **ours}]


@pytest.mark.parametrize("name", CUSTOM)
def test_each_field_of_a_custom_repository_alone_is_sent(name):
    ours = {"id": "mine", name: CUSTOM[name]}
    assert custom(ours) == [ours]


def test_what_is_no_field_of_a_repository_is_not_sent():
    assert payload({"baseurl": URL, "rhsm": False, "surprise": 1}) == [{"baseurl": URL, **BARE}]
    assert custom({"id": "mine", "surprise": 1}) == [{"id": "mine"}]


@pytest.mark.parametrize("identifier", ["mine", "", a_uuid(7)])
def test_an_id_nobody_knows_leaves_a_repository_as_given(identifier):
    assert payload({"baseurl": URL, "rhsm": True, "id": identifier}, own=(FULL,)) == [
        {**BARE, "baseurl": URL, "rhsm": True}
    ]
    assert custom({"id": identifier, "baseurl": [URL]}, own=(FULL,)) == [{"id": identifier, "baseurl": [URL]}]


def test_a_repository_without_id_is_not_filled_though_its_address_is_known():
    assert payload({"baseurl": URL, "rhsm": False}, own=(FULL,)) == [{"baseurl": URL, **BARE}]


@pytest.mark.parametrize("origin", ORIGINS)
def test_an_address_is_filled_in_by_origin(origin):
    expected = "https://content.example/latest/2/" if origin == "upload" else URL
    answers = {"own": (own(origin=origin, latest_snapshot_url=LATEST),)}
    assert payload({"id": a_uuid(2), "rhsm": False}, **answers) == [{**BARE, "baseurl": expected}]
    assert custom({"id": a_uuid(2)}, **answers) == [{"id": a_uuid(2), "baseurl": [expected]}]


@pytest.mark.parametrize("base", ["https://c.example/base", "https://c.example/base/"])
@pytest.mark.parametrize("path", ["/a/b", "/a/b/"])
def test_an_upload_s_address_has_one_slash_at_each_joint_and_no_prefix(base, path):
    settings = ContentSettings(repo_url=base, repo_prefix="prefix")
    upload = own(origin="upload", latest_snapshot_url=f"http://theirs.example:80{path}")
    found = payload({"id": a_uuid(2), "rhsm": False}, own=(upload,), content=settings)
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
    repository = own(origin=origin, latest_snapshot_url="https://theirs.example/2", **theirs)
    address = "https://content.example/2" if origin == "upload" else URL
    assert payload({"id": a_uuid(2), "rhsm": False, **ours}, own=(repository,)) == [
        {**BARE, "baseurl": address, **in_payload}
    ]
    assert custom({"id": a_uuid(2), **ours}, own=(repository,)) == [
        {"id": a_uuid(2), "baseurl": [address], **in_custom}
    ]


def test_a_given_key_is_not_joined_by_theirs():
    answers = {"own": (own(gpg_key="KEY"),)}
    assert payload({"id": a_uuid(2), "rhsm": False, "gpgkey": "GIVEN"}, **answers)[0]["gpgkey"] == "GIVEN"
    assert custom({"id": a_uuid(2), "gpgkey": ["GIVEN"]}, **answers)[0]["gpgkey"] == ["GIVEN"]


def test_repositories_keep_their_order():
    answers = {"own": (own(2), own(3, "https://own.example/3"))}
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
        "own": (own(),),
        "snapshots": (a_snapshot(5), a_snapshot(2)),
    }
    assert len(payload({"id": a_uuid(5), "rhsm": True}, {"id": a_uuid(2), "rhsm": True}, image=image, **answers)) == 1
    assert len(custom({"id": a_uuid(5)}, {"id": a_uuid(2)}, image=image, **answers)) == 1


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
    answers = {"own": (own(7, "https://own.example/7"), own(url=URL + theirs, **fields))}
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
    answers = {"own": (own(7, "https://own.example/7"), own(url=URL + theirs, **fields))}
    found = custom(entry, image=DATE, snapshots=(a_snapshot(7), a_snapshot(2)), **answers)
    assert found == [{"id": a_uuid(2), "baseurl": [REACHED], "enabled": False, **expected}]


@pytest.mark.parametrize("address", [None, "https://elsewhere.example"])
@pytest.mark.parametrize("origin", ORIGINS)
def test_a_date_takes_a_repository_by_its_id_else(origin, address):
    answers = {"own": (own(origin=origin),), "snapshots": (a_snapshot(2),)}
    at = {} if address is None else {"baseurl": address}
    assert payload({"id": a_uuid(2), "rhsm": True, **at}, image=DATE, **answers) == [{"baseurl": READ, "rhsm": False}]
    several = {} if address is None else {"baseurl": [address]}
    assert custom({"id": a_uuid(2), **several}, image=DATE, **answers) == [
        {"id": a_uuid(2), "baseurl": [REACHED], "enabled": False}
    ]


def test_an_upload_without_an_address_is_not_found_by_none():
    answers = {"own": (own(7, "", origin="upload"), own(2, "")), "snapshots": (a_snapshot(7), a_snapshot(2))}
    assert payload({"id": a_uuid(2), "rhsm": False}, image=DATE, **answers)[0]["baseurl"] == READ


@pytest.mark.parametrize(
    "answers",
    [{}, {"own": (own(),)}, {"own": (own(),), "snapshots": (a_snapshot(7),)}, {"snapshots": (a_snapshot(2),)}],
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
    text = refused(customizations, own=(own(snapshotting=False),), snapshots=snapshots)
    assert text == f"Repository {URL} (id: {a_uuid(2)}) has snapshotting disabled"


def templated(*numbers):
    return Template(a_uuid(99), "t", tuple(map(a_uuid, numbers)), tuple(map(a_snapshot, numbers)))


OF_TEMPLATE = {
    "own": (
        own(2, gpg_key="KEY", module_hotfixes=True, metadata_verification=True),
        own(3, origin="upload"),
        own(4, origin="community"),
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


@pytest.mark.parametrize("image", [None, DATE])
def test_without_own_repositories_none_are_sent(image):
    answers = {"own": (FULL,), "snapshots": (a_snapshot(2),)}
    assert sent(None, image, **answers) is None
    assert sent({}, image, **answers) == {}


@pytest.mark.parametrize("image", [None, DATE])
def test_an_id_is_the_same_in_capitals(image):
    small = "abcdefab-0000-4000-8000-000000000009"
    theirs = replace(own(url="https://own.example/9"), uuid=small)
    reached = replace(a_snapshot(2), repository_uuid=small)
    for identifier in (small, small.upper()):
        answers = {"own": (theirs,), "snapshots": (reached,)}
        assert payload({"id": identifier, "rhsm": False}, image=image, **answers)[0].keys() >= {"baseurl"}
        red_hat = {"red_hat": (replace(theirs, origin="red_hat"),), "snapshots": (reached,)}
        assert payload({"id": identifier, "rhsm": False}, image=image, **red_hat) is None
