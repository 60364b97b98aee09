"""The repositories an image is built from: by date, by template, the latest."""

from dataclasses import replace

import pytest

from domain.compose.lookups import Answers
from domain.compose.snapshots import ContentSettings
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
    refusal,
)

DATE = {"snapshot_date": "2026-01-31"}
TEMPLATE_ID = a_uuid(99)
TEMPLATE = {"content_template": TEMPLATE_ID}
NEITHER: dict[str, str] = {}

URL = "https://mirror.example/one"
BY_DATE = "https://content.example/api/pulp-content/snapshots/1/"
LATEST = "https://content.example/latest/1/"
KINDS = {
    "rhsm": {"rhsm": True},
    "plain": {},
    "tagged": {"tags": ("guest-image",)},
    "tagged rhsm": {"rhsm": True, "tags": ("guest-image",)},
}
SLASHES = ["", "/", "//"]


def with_latest(number, url, **fields):
    return known(number, url, latest_snapshot_url=f"https://theirs.example/latest/{number}/", **fields)


def a_template(*numbers, snapshots=None):
    uuids = tuple(map(a_uuid, numbers))
    return Template(TEMPLATE_ID, "t", uuids, tuple(map(a_snapshot, numbers)) if snapshots is None else snapshots)


def sent(image, *repositories, customizations=None, distribution=None, content=CONTENT, **answers):
    request = compose_request(image=image, distribution="rhel-9.8", customizations=customizations)
    rhel = distribution or a_rhel("rhel-9.8", *repositories)
    return built(request, distribution=rhel, answers=Answers(**answers), content=content)["image_request"][
        "repositories"
    ]


def refused(image, *repositories, customizations=None, **answers):
    request = compose_request(image=image, distribution="rhel-9.8", customizations=customizations)
    return refusal(request, distribution=a_rhel("rhel-9.8", *repositories), answers=Answers(**answers), content=CONTENT)


def naming(*numbers):
    return {"custom_repositories": [{"id": a_uuid(number)} for number in numbers]}


def snapshot(baseurl, **fields):
    return {"baseurl": baseurl, "rhsm": False, **fields}


@pytest.mark.parametrize("theirs", SLASHES)
@pytest.mark.parametrize("ours", SLASHES[:2])
@pytest.mark.parametrize(
    ("case", "kind", "expected"),
    [
        ("date", "rhsm", BY_DATE),
        ("date", "plain", BY_DATE),
        ("date", "tagged", None),
        ("date", "tagged rhsm", BY_DATE),
        ("template", "rhsm", BY_DATE),
        ("template", "plain", BY_DATE),
        ("template", "tagged", BY_DATE),
        ("template", "tagged rhsm", BY_DATE),
        ("neither", "rhsm", LATEST),
        ("neither", "plain", None),
        ("neither", "tagged", None),
        ("neither", "tagged rhsm", LATEST),
    ],
)
def test_each_kind_of_repository_in_each_case(case, kind, expected, ours, theirs):
    repository = a_repository("one", baseurl=URL + ours, gpgkey="of the file", check_gpg=False, **KINDS[kind])
    red_hat = (with_latest(1, URL + theirs),)
    found = {
        "date": lambda: sent(DATE, repository, red_hat=red_hat, snapshots=(a_snapshot(1),)),
        "template": lambda: sent(TEMPLATE, repository, red_hat=red_hat, template=a_template(1)),
        "neither": lambda: sent(NEITHER, repository, red_hat=red_hat),
    }[case]()
    as_it_is = {"baseurl": URL + ours, "rhsm": False, "gpgkey": "of the file", "check_gpg": False}
    checked = {"check_gpg": True} if case == "template" else {}
    assert found == [as_it_is if expected is None else snapshot(expected, **checked)]


@pytest.mark.parametrize("case", [DATE, NEITHER])
def test_a_repository_tagged_for_another_type_is_left_out(case):
    repositories = (a_repository("one", rhsm=True), a_repository("other", rhsm=True, tags=("gcp",)))
    answers = {"red_hat": (with_latest(1, URL), with_latest(2, "https://mirror.example/other"))}
    assert len(sent(case, *repositories, **answers, snapshots=(a_snapshot(1), a_snapshot(2)))) == 1


FLAGS = [
    ({}, {}),
    ({"gpg_key": "KEY"}, {"gpgkey": "KEY", "check_gpg": True}),
    ({"module_hotfixes": True}, {"module_hotfixes": True}),
    ({"module_hotfixes": False}, {"module_hotfixes": False}),
    ({"metadata_verification": True}, {"check_repo_gpg": True}),
    ({"metadata_verification": False}, {"check_repo_gpg": False}),
    (
        {"gpg_key": "KEY", "module_hotfixes": True, "metadata_verification": True, "name": "n", "label": "l"},
        {"gpgkey": "KEY", "check_gpg": True, "module_hotfixes": True, "check_repo_gpg": True},
    ),
]


@pytest.mark.parametrize(("fields", "expected"), FLAGS)
def test_a_snapshot_has_what_content_sources_knows(fields, expected):
    rhsm = a_repository("one", rhsm=True, gpgkey="of the file", check_gpg=True)
    red_hat = (with_latest(1, URL, **fields),)
    assert sent(DATE, rhsm, red_hat=red_hat, snapshots=(a_snapshot(1),)) == [snapshot(BY_DATE, **expected)]
    assert sent(NEITHER, rhsm, red_hat=red_hat) == [snapshot(LATEST, **expected)]


@pytest.mark.parametrize(("fields", "_expected"), FLAGS)
def test_a_template_s_snapshot_is_checked_and_has_nothing_but_its_key(fields, _expected):
    red_hat = (known(1, URL, **fields),)
    key = {"gpgkey": "KEY"} if "gpg_key" in fields else {}
    assert sent(TEMPLATE, red_hat=red_hat, template=a_template(1)) == [snapshot(BY_DATE, **key, check_gpg=True)]


def test_a_date_keeps_the_distribution_s_order():
    repositories = (a_repository("b"), a_repository("t", tags=("guest-image",)), a_repository("a", rhsm=True))
    red_hat = (known(1, "https://mirror.example/a"), known(2, "https://mirror.example/b"))
    found = sent(DATE, *repositories, red_hat=red_hat, snapshots=(a_snapshot(1), a_snapshot(2)))
    assert [repository["baseurl"] for repository in found] == [
        BY_DATE.replace("/1/", "/2/"),
        "https://mirror.example/t",
        BY_DATE,
    ]


def test_every_repository_without_a_snapshot_is_named():
    repositories = (
        a_repository("has-one", rhsm=True),
        a_repository("unknown", rhsm=True),
        a_repository("without", rhsm=False),
        a_repository("m", baseurl=None, metalink="https://mirror.example/metalink?repo=1"),
        a_repository("tagged", tags=("guest-image",)),
    )
    red_hat = (known(1, "https://mirror.example/has-one"), known(2, "https://mirror.example/without"))
    text = refused(DATE, *repositories, red_hat=red_hat, snapshots=(a_snapshot(1),))
    assert all(name in text for name in ("mirror.example/unknown", "mirror.example/without", "metalink?repo=1"))
    assert not any(name in text for name in ("has-one", "tagged"))


@pytest.mark.parametrize("name", ["centos-9", "fedora-43"])
def test_a_distribution_content_sources_does_not_know_has_no_snapshots(name):
    request = compose_request(image=DATE, distribution=name)
    text = refusal(request, distribution=a_distribution(name, a_repository("one")), content=CONTENT)
    assert URL in text


def test_a_snapshot_of_another_repository_is_none_of_this_one():
    assert URL in refused(DATE, a_repository("one"), red_hat=(known(1, URL),), snapshots=(a_snapshot(2),))


@pytest.mark.parametrize("snapshots", [(), (a_snapshot(1),)])
def test_a_repository_with_snapshotting_off_is_refused(snapshots):
    text = refused(DATE, a_repository("one"), red_hat=(known(1, URL, snapshotting=False),), snapshots=snapshots)
    assert text == f"Repository {URL} (id: {a_uuid(1)}) has snapshotting disabled"


def test_a_named_red_hat_repository_with_snapshotting_off_is_refused():
    off = known(2, "https://cdn.example/two", snapshotting=False)
    answers = {"red_hat": (known(1, URL), off), "snapshots": (a_snapshot(1),)}
    text = refused(DATE, a_repository("one"), customizations=naming(2), **answers)
    assert text == f"Repository https://cdn.example/two (id: {a_uuid(2)}) has snapshotting disabled"


def test_snapshotting_off_does_not_matter_without_a_date():
    rhsm = a_repository("one", rhsm=True)
    assert sent(NEITHER, rhsm, red_hat=(with_latest(1, URL, snapshotting=False),)) == [snapshot(LATEST)]


@pytest.mark.parametrize("red_hat", [(), (known(1, URL),), (with_latest(1, "https://mirror.example/another"),)])
def test_red_hat_s_go_as_they_are_without_a_latest_snapshot(red_hat):
    rhsm = a_repository("one", rhsm=True, gpgkey="KEY", check_gpg=True)
    expected = [{"baseurl": URL, "rhsm": True, "gpgkey": "KEY", "check_gpg": True}]
    assert sent(NEITHER, rhsm, red_hat=red_hat) == expected


def test_a_metalink_goes_as_it_is_without_a_date():
    metalink = a_repository("m", baseurl=None, metalink="https://mirror.example/m", rhsm=True)
    assert sent(NEITHER, metalink) == [{"metalink": "https://mirror.example/m", "rhsm": True}]


@pytest.mark.parametrize("case", [DATE, NEITHER])
def test_red_hat_s_named_by_id_join(case):
    red_hat = (with_latest(1, URL), with_latest(2, "https://cdn.example/two"), with_latest(3, "https://cdn.example/3"))
    snapshots = tuple(map(a_snapshot, (1, 2, 3)))
    found = sent(
        case, a_repository("one", rhsm=True), customizations=naming(3, 2, 3), red_hat=red_hat, snapshots=snapshots
    )
    first = BY_DATE if case == DATE else LATEST
    assert [each["baseurl"] for each in found] == [first.replace("/1/", f"/{number}/") for number in (1, 3, 2)]


@pytest.mark.parametrize("slash", SLASHES)
@pytest.mark.parametrize("case", [DATE, NEITHER])
def test_one_the_image_has_already_does_not_join_again(case, slash):
    answers = {"red_hat": (with_latest(1, URL + slash),), "snapshots": (a_snapshot(1),)}
    assert len(sent(case, a_repository("one", rhsm=True), customizations=naming(1), **answers)) == 1


def test_a_named_one_without_a_snapshot_for_the_date_is_refused_by_its_name():
    answers = {"red_hat": (known(1, URL), known(2, "https://cdn.example/two")), "snapshots": (a_snapshot(1),)}
    text = refused(DATE, a_repository("one"), customizations=naming(2), **answers)
    assert "https://cdn.example/two" in text
    assert URL not in text


def test_a_named_one_without_a_latest_snapshot_does_not_join():
    red_hat = (with_latest(1, URL), known(2, "https://cdn.example/two"))
    assert sent(NEITHER, a_repository("one", rhsm=True), customizations=naming(2), red_hat=red_hat) == [
        snapshot(LATEST)
    ]


@pytest.mark.parametrize("case", [DATE, NEITHER])
def test_one_named_among_the_payload_repositories_does_not_join(case):
    ours = {"payload_repositories": [{"rhsm": True, "id": a_uuid(2)}]}
    red_hat = (with_latest(1, URL), with_latest(2, "https://cdn.example/two"))
    answers = {"red_hat": red_hat, "snapshots": (a_snapshot(1), a_snapshot(2))}
    assert len(sent(case, a_repository("one", rhsm=True), customizations=ours, **answers)) == 1


def test_red_hat_s_named_by_id_do_not_join_a_template_s():
    red_hat = (known(1, URL), known(2, "https://cdn.example/two"))
    found = sent(TEMPLATE, customizations=naming(2), red_hat=red_hat, template=a_template(1))
    assert found == [snapshot(BY_DATE, check_gpg=True)]


def test_a_template_replaces_all_of_the_distribution_s():
    repositories = (a_repository("x", rhsm=True), a_repository("y"), a_repository("z", tags=("guest-image",)))
    found = sent(TEMPLATE, *repositories, red_hat=(known(1), known(2)), template=a_template(2, 1))
    assert [repository["baseurl"] for repository in found] == [BY_DATE.replace("/1/", "/2/"), BY_DATE]


def test_a_template_s_custom_snapshots_are_none_of_the_image_s():
    own = (known(2, origin="external"), known(3, origin="upload"), known(4, origin="community"))
    found = sent(TEMPLATE, red_hat=(known(1),), customer=own, template=a_template(2, 1, 3, 4))
    assert found == [snapshot(BY_DATE, check_gpg=True)]


def test_a_template_s_repositories_need_not_say_their_origin():
    red_hat, own = (known(1, origin=""), known(4, origin="external")), (known(2, origin=""), known(3, origin=""))
    found = sent(TEMPLATE, red_hat=red_hat, customer=own, template=a_template(2, 1, 3, 4))
    assert found == [snapshot(BY_DATE, check_gpg=True)]


@pytest.mark.parametrize(
    "template",
    [None, Template(TEMPLATE_ID), a_template(1, snapshots=()), replace(a_template(1), repository_uuids=())],
)
def test_a_template_that_is_no_use_is_refused_by_its_name(template):
    assert TEMPLATE_ID in refused(TEMPLATE, red_hat=(known(1),), template=template)


@pytest.mark.parametrize("case", [DATE, TEMPLATE, NEITHER])
def test_a_bootable_container_has_no_repositories(case):
    request = compose_request(image=case, distribution=None, bootc={"reference": "r"}, customizations=naming(1))
    answers = Answers(red_hat=(with_latest(1, URL),), snapshots=(a_snapshot(1),))
    if case == TEMPLATE:
        answers = replace(answers, template=a_template(1))
    found = built(request, bootc=(BootcImage("guest-image", "r"),), answers=answers, content=CONTENT)
    assert found["image_request"]["repositories"] == []
    assert "distribution" not in found


BASES = ["https://c.example", "https://c.example/", "https://c.example/base", "https://c.example/base/"]


@pytest.mark.parametrize("path", ["a/b", "/a/b", "a/b/", "/a/b/", "a%20b/c"])
@pytest.mark.parametrize("prefix", ["", "p", "/p", "p/", "/p/q/"])
@pytest.mark.parametrize("base", BASES)
def test_a_snapshot_s_path_is_joined_with_one_slash_at_each_joint(base, prefix, path):
    settings = ContentSettings(repo_url=base, repo_prefix=prefix)
    expected = "/".join(part for part in (base.rstrip("/"), prefix.strip("/"), path.lstrip("/")) if part)
    answers = {"red_hat": (known(1, URL),), "content": settings}
    one = (a_snapshot(1, repository_path=path),)
    assert sent(DATE, a_repository("one"), snapshots=one, **answers)[0]["baseurl"] == expected
    template = a_template(1, snapshots=one)
    assert sent(TEMPLATE, template=template, **answers)[0]["baseurl"] == expected


@pytest.mark.parametrize("path", ["/a/b", "/a/b/", "/a%20b/c/"])
@pytest.mark.parametrize("theirs", ["https://theirs.example", "http://theirs.example:8080", ""])
@pytest.mark.parametrize("base", BASES)
def test_the_latest_snapshot_s_path_is_joined_without_the_prefix(base, theirs, path):
    settings = ContentSettings(repo_url=base, repo_prefix="prefix")
    red_hat = (known(1, URL, latest_snapshot_url=theirs + path),)
    found = sent(NEITHER, a_repository("one", rhsm=True), red_hat=red_hat, content=settings)
    assert found[0]["baseurl"] == base.rstrip("/") + path
