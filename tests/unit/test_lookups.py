"""What back-ends are asked for a request, in which of two rounds."""

from dataclasses import replace

import pytest

from domain.applicability import PolicyQuestion
from domain.compose.lookups import (
    Answers,
    FollowUp,
    Questions,
    create_follow_up,
    create_questions,
    normalize_snapshot_date,
)
from domain.compose.request import parse_compose_request
from domain.content import Template
from domain.errors import InvalidRequestError
from tests.support.builders import SUBSCRIPTION, compose_request
from tests.support.domain_builders import (
    a_distribution,
    a_repository,
    a_rhel,
    a_snapshot,
    a_uuid,
    completed,
    known,
    resolve,
)

DATE = {"snapshot_date": "2026-01-31"}
MIDNIGHT = "2026-01-31T00:00:00Z"
TEMPLATE = {"content_template": a_uuid(99)}
RHSM = a_repository("rhsm", rhsm=True)
PLAIN = a_repository("plain")
TAGGED = a_repository("tagged", tags=("guest-image",))
TAGGED_RHSM = a_repository("tagged-rhsm", rhsm=True, tags=("guest-image",))
OTHER_TYPE = a_repository("other-type", rhsm=True, tags=("gcp",))
METALINK = a_repository("metalink", baseurl=None, metalink="https://mirror.example/metalink")
ALL = a_rhel("rhel-9.8", RHSM, PLAIN, TAGGED, TAGGED_RHSM, OTHER_TYPE, METALINK)
POLICY = a_uuid(50)


def asked(customizations=None, image=None, *, distribution=ALL, **fields):
    return questions_of(compose_request(image=image, **given(customizations), **fields), distribution)


def given(customizations):
    return {} if customizations is None else {"customizations": customizations}


def questions_of(document, distribution=ALL):
    request = parse_compose_request(completed(document))
    return create_questions(request, resolve(request, distribution))


def urls(*names):
    return tuple(f"https://mirror.example/{name}" for name in names)


def urls_at(*names):
    return tuple(f"https://own.example/{name}" for name in names)


def payload(**fields):
    return {"payload_repositories": [{"rhsm": False, **fields}]}


def custom(**fields):
    return {"custom_repositories": [{"id": "mine", **fields}]}


@pytest.mark.parametrize("image", [None, {"snapshot_date": ""}, {"content_template": ""}])
def test_a_request_that_needs_nothing_asks_nothing(image):
    plain = a_distribution("centos-9", PLAIN, TAGGED, METALINK)
    found = asked(image=image, distribution=plain)
    assert found == Questions()
    assert not found.has_content_sources_questions


def test_without_date_and_template_red_hat_s_repositories_of_the_image_are_asked_for():
    assert asked() == Questions(red_hat_urls=urls("rhsm", "tagged-rhsm"))
    assert asked().has_content_sources_questions


@pytest.mark.parametrize(("image", "required"), [(None, False), (DATE, True), (TEMPLATE, True)])
def test_content_sources_is_required_for_a_date_and_for_a_template_only(image, required):
    assert asked(image=image).needs_content_sources is required


def test_for_a_date_all_repositories_but_tagged_ones_are_asked_for():
    assert asked(image=DATE) == DATED


def test_for_a_template_the_distribution_s_repositories_are_not_asked_for():
    assert asked(image=TEMPLATE) == Questions(template=a_uuid(99))
    assert asked(image=TEMPLATE).has_content_sources_questions


def test_the_architecture_and_type_decide_what_is_asked_for():
    found = asked(image={**DATE, "architecture": "aarch64"}, distribution=a_rhel("rhel-9.8", RHSM, OTHER_TYPE))
    assert found.red_hat_urls == urls("rhsm")


def test_one_address_is_asked_for_once():
    twice = a_rhel("rhel-9.8", RHSM, a_repository("again", rhsm=True, baseurl=RHSM.baseurl))
    assert asked(distribution=twice).red_hat_urls == urls("rhsm")


@pytest.mark.parametrize("image", [None, DATE])
def test_a_bootable_container_has_no_repositories_to_ask_for(image):
    found = questions_of(compose_request(image=image, distribution=None, bootc={"reference": "r"}))
    assert replace(found, snapshot_date=None) == Questions()


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
    assert asked(customizations, DATE).customer_urls == expected
    assert asked(customizations).customer_urls == ()
    assert asked(customizations, TEMPLATE).customer_urls == ()


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
    assert (found.red_hat_ids, found.customer_ids) == (expected, expected)


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
DATED = Questions(red_hat_urls=urls("rhsm", "plain", "tagged-rhsm"), snapshot_date=MIDNIGHT)
TEMPLATED = Questions(template=a_uuid(99))
EITHER = {"red_hat_ids": (a_uuid(1), a_uuid(2)), "customer_ids": (a_uuid(1), a_uuid(2))}
PAYLOAD_ID = {"red_hat_ids": (a_uuid(1),), "customer_ids": (a_uuid(1),)}
CUSTOM_ID = {"red_hat_ids": (a_uuid(2),), "customer_ids": (a_uuid(2),)}
# What is asked beyond the image's own: neither date nor template, a date, a template, a template with a subscription.
ASKED = {
    "nothing": ({}, {}, {}, {}),
    "payload by address": ({}, {"customer_urls": ("https://own.example/a",)}, {}, {}),
    "payload by id": (PAYLOAD_ID, PAYLOAD_ID, {}, {}),
    "custom by address": ({}, {"customer_urls": ("https://own.example/b",)}, {}, {}),
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


def test_ids_are_asked_for_each_once_whatever_the_distribution():
    found = asked(custom(id=a_uuid(1)), distribution=a_distribution("centos-9", PLAIN))
    assert found == Questions(red_hat_ids=(a_uuid(1),), customer_ids=(a_uuid(1),))


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
    request = parse_compose_request(document)
    assert create_questions(request, a_distribution()).sources == expected


@pytest.mark.parametrize(
    ("image_type", "upload"), [("gcp", "gcp"), ("guest-image", "aws.s3"), ("oci", "oci.objectstorage")]
)
def test_sources_of_another_target_are_not_asked_for(image_type, upload):
    document = compose_request(image_type, upload, image={"options": {"share_with_sources": ["1"]}})
    assert questions_of(document, a_distribution()).sources == ()


@pytest.mark.parametrize(
    ("name", "major", "minor"),
    [("rhel-84", 8, 4), ("rhel-8.10", 8, 10), ("rhel-9.8", 9, 8), ("rhel-10.2", 10, 2)],
)
def test_a_policy_is_asked_for_with_the_distribution_s_version(name, major, minor):
    found = asked({"openscap": {"policy_id": POLICY}}, distribution=a_rhel(name))
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
    assert normalize_snapshot_date(given) == sent
    asked_first = asked(image={"snapshot_date": given})
    assert create_follow_up(asked_first, Answers(red_hat=(known(1),))).date == sent


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


ANSWERS = Answers(red_hat=(known(1), known(2)), customer=(known(3, origin="external"), known(1)))


@pytest.mark.parametrize("image", [None, {"snapshot_date": ""}])
@pytest.mark.parametrize("answers", [Answers(), ANSWERS])
def test_without_date_and_template_nothing_more_is_asked(answers, image):
    assert create_follow_up(asked(image=image), answers) == FollowUp()


def test_for_a_date_each_repository_s_snapshot_is_asked_for_once():
    found = create_follow_up(asked(image=DATE), ANSWERS)
    assert found == FollowUp(date=MIDNIGHT, snapshot_repository_ids=(a_uuid(1), a_uuid(2), a_uuid(3)))


def test_for_a_date_of_nothing_that_is_known_no_snapshots_are_asked_for():
    assert create_follow_up(asked(image=DATE), Answers()).snapshot_repository_ids == ()


def test_a_template_s_repositories_are_asked_for():
    template = Template(a_uuid(99), "t", (a_uuid(1), a_uuid(2)), (a_snapshot(1), a_snapshot(2)))
    found = create_follow_up(asked(image=TEMPLATE), Answers(template=template))
    assert found == FollowUp(template_repository_ids=(a_uuid(1), a_uuid(2)))


@pytest.mark.parametrize("template", [None, Template(a_uuid(99))])
def test_of_a_template_without_repositories_nothing_more_is_asked(template):
    assert create_follow_up(asked(image=TEMPLATE), Answers(template=template)) == FollowUp()
