"""What back-ends are asked for a request, in which of two rounds (spec 20, Look-ups in few trips)."""

from dataclasses import replace

import pytest

from domain.compose.lookups import Answers, FollowUp, Questions, follow_up, questions, snapshot_date
from domain.compose.request import read
from domain.content import Template
from domain.errors import InvalidRequestError
from domain.policies import PolicyQuestion
from tests.support.builders import SUBSCRIPTION, compose_request
from tests.support.domain_builders import a_distribution, a_repository, a_rhel, a_snapshot, a_uuid, completed, known

DATE = {"snapshot_date": "2026-01-31"}
TEMPLATE = {"content_template": a_uuid(99)}
RHSM = a_repository("rhsm", rhsm=True)
PLAIN = a_repository("plain")
TAGGED = a_repository("tagged", tags=("guest-image",))
TAGGED_RHSM = a_repository("tagged-rhsm", rhsm=True, tags=("guest-image",))
OTHER_TYPE = a_repository("other-type", rhsm=True, tags=("gcp",))
METALINK = a_repository("metalink", baseurl=None, metalink="https://mirror.example/metalink")
ALL = a_rhel("rhel-9.8", RHSM, PLAIN, TAGGED, TAGGED_RHSM, OTHER_TYPE, METALINK)
POLICY = a_uuid(50)


def a_request(customizations=None, image=None, **fields):
    given = {} if customizations is None else {"customizations": customizations}
    return read(completed(compose_request(image=image, **given, **fields)))


def asked(customizations=None, image=None, *, distribution=ALL, content_sources=True, **fields):
    return questions(a_request(customizations, image, **fields), distribution, content_sources=content_sources)


def urls(*names):
    return tuple(f"https://mirror.example/{name}" for name in names)


def urls_at(*names):
    return tuple(f"https://own.example/{name}" for name in names)


def payload(**fields):
    return {"payload_repositories": [{"rhsm": False, **fields}]}


def custom(**fields):
    return {"custom_repositories": [{"id": "mine", **fields}]}


@pytest.mark.parametrize("image", [None, {"snapshot_date": ""}, {"content_template": ""}])
@pytest.mark.parametrize("content_sources", [True, False])
def test_a_request_that_needs_nothing_asks_nothing(content_sources, image):
    plain = a_distribution("centos-9", PLAIN, TAGGED, METALINK)
    found = asked(image=image, distribution=plain, content_sources=content_sources)
    assert found == Questions()
    assert not found.need_content_sources


def test_without_date_and_template_red_hat_s_repositories_of_the_image_are_asked_for():
    assert asked() == Questions(red_hat_urls=urls("rhsm", "tagged-rhsm"))
    assert asked().need_content_sources


def test_without_content_sources_the_latest_snapshots_are_not_asked_for():
    assert asked(content_sources=False) == Questions()


def test_for_a_date_all_repositories_but_tagged_ones_are_asked_for():
    assert asked(image=DATE) == Questions(red_hat_urls=urls("rhsm", "plain", "tagged-rhsm"))


def test_for_a_template_the_distribution_s_repositories_are_not_asked_for():
    assert asked(image=TEMPLATE) == Questions(template=a_uuid(99))
    assert asked(image=TEMPLATE).need_content_sources


@pytest.mark.parametrize("image", [DATE, TEMPLATE])
def test_what_cannot_be_had_otherwise_is_asked_for_without_content_sources_too(image):
    assert asked(image=image, content_sources=False) == asked(image=image)


def test_the_architecture_and_type_decide_what_is_asked_for():
    found = asked(image={**DATE, "architecture": "aarch64"}, distribution=a_rhel("rhel-9.8", RHSM, OTHER_TYPE))
    assert found.red_hat_urls == urls("rhsm")


def test_one_address_is_asked_for_once():
    twice = a_rhel("rhel-9.8", RHSM, a_repository("again", rhsm=True, baseurl=RHSM.baseurl))
    assert asked(distribution=twice).red_hat_urls == urls("rhsm")


@pytest.mark.parametrize("image", [None, DATE])
def test_a_bootable_container_has_no_repositories_to_ask_for(image):
    request = read(completed(compose_request(image=image, distribution=None, bootc={"reference": "r"})))
    assert questions(request, None, content_sources=True) == Questions()


@pytest.mark.parametrize(
    ("customizations", "expected"),
    [
        (payload(baseurl="https://own.example/a"), ("https://own.example/a",)),
        (custom(baseurl=["https://own.example/b"]), ("https://own.example/b",)),
        (
            {**payload(baseurl="https://own.example/a"), **custom(baseurl=["https://own.example/b"])},
            ("https://own.example/a", "https://own.example/b"),
        ),
        (
            {**payload(baseurl="https://own.example/a"), **custom(baseurl=["https://own.example/a"])},
            ("https://own.example/a",),
        ),
        (payload(metalink="https://own.example/m"), ()),
        (custom(baseurl=["https://own.example/b", "https://own.example/c"]), urls_at("b", "c")),
        (custom(baseurl=["https://own.example/b", "", "https://own.example/b"]), urls_at("b")),
        (custom(baseurl=[]), ()),
        (payload(baseurl=""), ()),
        (custom(), ()),
        ({"payload_repositories": [], "custom_repositories": []}, ()),
    ],
)
def test_a_customer_s_repositories_are_asked_for_by_address_for_a_date_only(customizations, expected):
    assert asked(customizations, DATE).own_urls == expected
    assert asked(customizations).own_urls == ()
    assert asked(customizations, TEMPLATE).own_urls == ()


@pytest.mark.parametrize("image", [None, DATE])
@pytest.mark.parametrize(
    ("customizations", "expected"),
    [
        (payload(id=a_uuid(1)), (a_uuid(1),)),
        (custom(id=a_uuid(2)), (a_uuid(2),)),
        ({**payload(id=a_uuid(1)), **custom(id=a_uuid(2))}, (a_uuid(1), a_uuid(2))),
        ({**payload(id=a_uuid(1)), **custom(id=a_uuid(1))}, (a_uuid(1),)),
        (payload(), ()),
        *(
            (custom(id=text), ())
            for text in (
                "mine",
                "",
                a_uuid(1)[:-1],
                a_uuid(1) + "0",
                a_uuid(1).replace("-", ""),
                a_uuid(1) + "\n",
                f"{{{a_uuid(1)}}}",
                f"{a_uuid(1)},{a_uuid(2)}",
                "0000000g-0000-4000-8000-000000000001",
            )
        ),
    ],
)
def test_only_uuids_are_asked_for_by_id(customizations, expected, image):
    found = asked(customizations, image)
    assert (found.red_hat_ids, found.own_ids) == (expected, expected)


# What a request has of its own: by address, and by ids that may turn out to be Red Hat's.
OWN = {
    "nothing": {},
    "payload by address": payload(baseurl="https://own.example/a"),
    "payload by id": payload(id=a_uuid(1)),
    "custom by address": custom(baseurl=["https://own.example/b"]),
    "custom by id": custom(id=a_uuid(2)),
    "both by id": {**payload(id=a_uuid(1)), **custom(id=a_uuid(2))},
}
LATEST = Questions(red_hat_urls=urls("rhsm", "tagged-rhsm"))
DATED = Questions(red_hat_urls=urls("rhsm", "plain", "tagged-rhsm"))
TEMPLATED = Questions(template=a_uuid(99))
EITHER = {"red_hat_ids": (a_uuid(1), a_uuid(2)), "own_ids": (a_uuid(1), a_uuid(2))}
PAYLOAD_ID = {"red_hat_ids": (a_uuid(1),), "own_ids": (a_uuid(1),)}
CUSTOM_ID = {"red_hat_ids": (a_uuid(2),), "own_ids": (a_uuid(2),)}
# What is asked beyond the image's own: neither date nor template, a date, a template, a template with a subscription.
ASKED = {
    "nothing": ({}, {}, {}, {}),
    "payload by address": ({}, {"own_urls": ("https://own.example/a",)}, {}, {}),
    "payload by id": (PAYLOAD_ID, PAYLOAD_ID, {}, {}),
    "custom by address": ({}, {"own_urls": ("https://own.example/b",)}, {}, {}),
    "custom by id": (CUSTOM_ID, CUSTOM_ID, {}, {"red_hat_ids": (a_uuid(2),)}),
    "both by id": (EITHER, EITHER, {}, {"red_hat_ids": (a_uuid(2),)}),
}


@pytest.mark.parametrize("subscribed", [False, True])
@pytest.mark.parametrize("kind", OWN)
@pytest.mark.parametrize(("image", "always", "column"), [(None, LATEST, 0), (DATE, DATED, 1), (TEMPLATE, TEMPLATED, 2)])
def test_each_kind_of_own_repository_makes_us_ask_what_it_needs_and_no_more(image, always, column, kind, subscribed):
    ours = {**OWN[kind], "subscription": SUBSCRIPTION} if subscribed else OWN[kind]
    by_template = image is TEMPLATE and subscribed
    assert asked(ours, image) == replace(always, **ASKED[kind][3 if by_template else column])


@pytest.mark.parametrize("kind", OWN)
def test_without_content_sources_and_need_nothing_of_it_is_asked(kind):
    found = asked({**OWN[kind], "subscription": SUBSCRIPTION}, content_sources=False)
    assert found == Questions()


def test_ids_are_asked_for_each_once_whatever_the_distribution():
    found = asked(custom(id=a_uuid(1)), distribution=a_distribution("centos-9", PLAIN))
    assert found == Questions(red_hat_ids=(a_uuid(1),), own_ids=(a_uuid(1),))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"share_with_accounts": ["123456789012"]}, ()),
        ({"share_with_sources": []}, ()),
        ({"share_with_sources": ["2", "1"]}, ("2", "1")),
        ({"share_with_sources": ["1"], "share_with_accounts": ["123456789012"]}, ("1",)),
        ({"share_with_sources": ["1", "2", "1"]}, ("1", "2")),
    ],
)
def test_each_source_of_an_aws_image_is_asked_for_once(options, expected):
    document = completed(compose_request("aws", "aws"))
    document["image_requests"][0]["upload_request"]["options"] = options
    assert questions(read(document), a_distribution(), content_sources=True).sources == expected


@pytest.mark.parametrize(
    ("image_type", "upload"), [("gcp", "gcp"), ("guest-image", "aws.s3"), ("oci", "oci.objectstorage")]
)
def test_sources_of_another_target_are_not_asked_for(image_type, upload):
    document = compose_request(image_type, upload, image={"options": {"share_with_sources": ["1"]}})
    assert questions(read(completed(document)), a_distribution(), content_sources=True).sources == ()


@pytest.mark.parametrize(
    ("name", "major", "minor"),
    [("rhel-84", 8, 4), ("rhel-8.10", 8, 10), ("rhel-9.8", 9, 8), ("rhel-10.2", 10, 2)],
)
def test_a_policy_is_asked_for_with_the_distribution_s_version(name, major, minor):
    found = asked({"openscap": {"policy_id": POLICY}}, distribution=a_rhel(name), content_sources=False)
    assert found.policy == PolicyQuestion(POLICY, major, minor)


def test_the_version_is_the_file_s_not_the_callers_name():
    found = asked({"openscap": {"policy_id": POLICY}}, distribution=a_rhel("rhel-9", canonical_name="rhel-9.8"))
    assert found.policy == PolicyQuestion(POLICY, 9, 8)


@pytest.mark.parametrize(
    "name", ["centos-9", "fedora-43", "rhel-9", "rhel-9.8-nightly", "rhel-10-beta", "rhel-9.8-beta"]
)
def test_a_policy_for_what_is_not_rhel_is_refused_naming_it(name):
    with pytest.raises(InvalidRequestError) as refused:
        asked({"openscap": {"policy_id": POLICY}}, distribution=a_distribution(name))
    assert POLICY in refused.value.detail


@pytest.mark.parametrize("customizations", [None, {}, {"openscap": {"profile_id": "p"}}])
def test_no_policy_is_asked_for_without_one(customizations):
    assert asked(customizations).policy is None


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("2026-01-31", "2026-01-31T00:00:00Z"),
        ("2024-02-29", "2024-02-29T00:00:00Z"),
        ("2026-01-31T10:20:30Z", "2026-01-31T10:20:30Z"),
        ("2026-01-31t10:20:30z", "2026-01-31T10:20:30Z"),
        ("2026-01-31T10:20:30.5Z", "2026-01-31T10:20:30Z"),
        ("2026-01-31T10:20:30.999999999Z", "2026-01-31T10:20:30Z"),
        ("2026-01-31T10:20:30.1234567890123+00:00", "2026-01-31T10:20:30Z"),
        ("2026-01-31T10:20:30+02:00", "2026-01-31T08:20:30Z"),
        ("2026-01-31T23:20:30-05:30", "2026-02-01T04:50:30Z"),
        ("2026-01-01T00:00:00.25+14:00", "2025-12-31T10:00:00Z"),
        ("2026-01-31T10:20:30-00:00", "2026-01-31T10:20:30Z"),
    ],
)
def test_a_date_is_sent_in_utc_and_whole_seconds(given, sent):
    request = a_request(image={"snapshot_date": given})
    assert snapshot_date(request) == sent
    assert follow_up(request, Answers(red_hat=(known(1),))).date == sent


@pytest.mark.parametrize(
    "given",
    [
        "yesterday",
        " ",
        "2026",
        "2026-01",
        "2026-1-31",
        "20260131",
        "2026-W05-6",
        "2026-031",
        "2026-02-30",
        "2025-02-29",
        "2026-13-01",
        "0000-01-01",
        "2026-01-31 ",
        " 2026-01-31",
        "2026-01-31\n",
        "2026-01-31T10:20:30",
        "2026-01-31 10:20:30Z",
        "2026-01-31T10:20Z",
        "2026-01-31T10:20:30.Z",
        "2026-01-31T10:20:30,5Z",
        "2026-01-31T25:20:30Z",
        "2026-01-31T10:60:30Z",
        "2026-01-31T10:20:30+0200",
        "2026-01-31T10:20:30+02",
        "2026-01-31T10:20:30+25:00",
        "2026-01-31T10:20:30 UTC",
        "0001-01-01T00:00:00+02:00",
        "9999-12-31T23:59:59-02:00",
        "+2026-01-31",
        "٢٠٢٦-٠١-٣١",  # noqa: RUF001 - digits, and not those of a date
        "2026-01-31; DROP",
        "1769817600",
    ],
)
def test_what_is_no_date_is_refused_before_anybody_is_asked(given):
    with pytest.raises(InvalidRequestError) as refused:
        asked(image={"snapshot_date": given})
    assert "snapshot_date" in refused.value.detail


ANSWERS = Answers(red_hat=(known(1), known(2)), own=(known(3, origin="external"), known(1)))


@pytest.mark.parametrize("image", [None, {"snapshot_date": ""}])
@pytest.mark.parametrize("answers", [Answers(), ANSWERS])
def test_without_date_and_template_nothing_more_is_asked(answers, image):
    assert follow_up(a_request(image=image), answers) == FollowUp()


def test_for_a_date_each_repository_s_snapshot_is_asked_for_once():
    found = follow_up(a_request(image=DATE), ANSWERS)
    assert found == FollowUp(date="2026-01-31T00:00:00Z", snapshots_of=(a_uuid(1), a_uuid(2), a_uuid(3)))


def test_for_a_date_of_nothing_that_is_known_no_snapshots_are_asked_for():
    assert follow_up(a_request(image=DATE), Answers()).snapshots_of == ()


def test_a_template_s_repositories_are_asked_for():
    template = Template(a_uuid(99), "t", (a_uuid(1), a_uuid(2)), (a_snapshot(1), a_snapshot(2)))
    found = follow_up(a_request(image=TEMPLATE), Answers(template=template))
    assert found == FollowUp(template_repositories=(a_uuid(1), a_uuid(2)))


@pytest.mark.parametrize("template", [None, Template(a_uuid(99))])
def test_of_a_template_without_repositories_nothing_more_is_asked(template):
    assert follow_up(a_request(image=TEMPLATE), Answers(template=template)) == FollowUp()
