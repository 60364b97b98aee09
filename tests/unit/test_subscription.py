"""Registering the machine with Red Hat."""

from dataclasses import replace

import pytest

from domain.compose.lookups import Answers
from domain.compose.snapshots import ContentSettings
from domain.content import Policy, Template
from domain.distributions import BootcImage
from tests.support.builders import compose_request
from tests.support.domain_builders import (
    CONTENT,
    a_distribution,
    a_rhel,
    a_snapshot,
    a_uuid,
    built,
    completed,
    known,
    refusal,
)

OURS = {
    "organization": 1234567,
    "activation-key": "a key",
    "server-url": "subscription.example",
    "base-url": "https://cdn.example/",
    "insights": True,
    "rhc": True,
}
THEIRS = {
    "organization": "1234567",
    "activation_key": "a key",
    "server_url": "subscription.example",
    "base_url": "https://cdn.example/",
    "insights": True,
    "rhc": True,
    "insights_client_proxy": "http://proxy.example:3128",
}
TEMPLATE_ID = a_uuid(99)
ANSWERS = Answers(red_hat=(known(1),), template=Template(TEMPLATE_ID, "t", (a_uuid(1),), (a_snapshot(1),)))
BOOTC = (BootcImage("guest-image", "r"),)


def customizations_of(name="rhel-9.8", *, image=None, content=CONTENT, answers=None, **ours):
    distribution = None if name is None else a_rhel(name) if name.startswith("rhel") else a_distribution(name)
    source = {"distribution": None, "bootc": {"reference": "r"}} if name is None else {}
    request = compose_request(image=image, customizations=ours, **source)
    return built(request, distribution=distribution, bootc=BOOTC, answers=answers, content=content)["customizations"]


def subscribed(*args, ours=OURS, others=None, **arguments):
    return customizations_of(*args, subscription=ours, **(others or {}), **arguments)["subscription"]


@pytest.mark.parametrize("name", ["rhel-84", "rhel-9.8", "rhel-10.2", "centos-9", None])
def test_a_subscription_goes_by_the_composer_s_names(name):
    assert subscribed(name) == THEIRS


@pytest.mark.parametrize("insights", [True, False])
@pytest.mark.parametrize("rhc", [True, False, None])
def test_flags_are_sent_as_given_and_rhc_is_off_unless_given(rhc, insights):
    given = {name: value for name, value in {**OURS, "rhc": rhc, "insights": insights}.items() if value is not None}
    found = subscribed(ours=given)
    assert (found["rhc"], found["insights"]) == (rhc is True, insights)


@pytest.mark.parametrize("proxy", ["", "http://proxy.example:3128"])
@pytest.mark.parametrize("own", [{}, {"insights_client_proxy": "http://own.example"}])
@pytest.mark.parametrize("insights", [True, False])
def test_the_proxy_is_always_the_operators(insights, own, proxy):
    content = ContentSettings(insights_client_proxy=proxy)
    found = subscribed(ours={**OURS, "insights": insights, **own}, content=content)
    assert found["insights_client_proxy"] == proxy


@pytest.mark.parametrize("organization", [0, 1, -5, 2**53, 10**20])
def test_an_organization_is_sent_as_text(organization):
    assert subscribed(ours={**OURS, "organization": organization})["organization"] == str(organization)


BY_NAME = {"template_name": "my template"}
BY_UUID = {"template_uuid": TEMPLATE_ID, "patch_url": "https://patch.example/api"}


@pytest.mark.parametrize(
    ("name", "template_name", "expected"),
    [
        ("rhel-84", "my template", BY_UUID),
        ("rhel-8.10", "my template", BY_UUID),
        ("rhel-90", "my template", BY_UUID),
        ("rhel-9.5", "my template", BY_UUID),
        ("rhel-95", "my template", BY_UUID),
        ("rhel-9.6", "my template", BY_NAME),
        ("rhel-96", "my template", BY_NAME),
        ("rhel-9.8", "my template", BY_NAME),
        ("rhel-9.10", "my template", BY_NAME),
        ("rhel-10.0", "my template", BY_NAME),
        ("rhel-10.2", "my template", BY_NAME),
        ("rhel-9.6", "", BY_UUID),
        ("rhel-9.6", None, BY_UUID),
        ("rhel-10.0", None, BY_UUID),
        ("rhel-8.10", None, BY_UUID),
    ],
)
def test_a_template_is_named_where_the_release_knows_names(name, template_name, expected):
    named = {} if template_name is None else {"content_template_name": template_name}
    image = {"content_template": TEMPLATE_ID, **named}
    assert subscribed(name, image=image, answers=ANSWERS) == {**THEIRS, **expected}


def test_the_patch_url_is_sent_even_when_empty():
    content = replace(CONTENT, patch_url="")
    found = subscribed("rhel-9.5", image={"content_template": TEMPLATE_ID}, answers=ANSWERS, content=content)
    assert found == {**THEIRS, "template_uuid": TEMPLATE_ID, "patch_url": ""}


@pytest.mark.parametrize("image", [None, {"content_template_name": "my template"}, {"snapshot_date": "2026-01-31"}])
def test_without_a_template_none_is_sent(image):
    answers = Answers(red_hat=(known(1, "https://mirror.example/baseos"),), snapshots=(a_snapshot(1),))
    assert subscribed("rhel-9.8", image=image, answers=answers) == THEIRS


@pytest.mark.parametrize("template_name", [{}, {"content_template_name": "my template"}])
@pytest.mark.parametrize("name", ["centos-9", "fedora-43", "rhel-9", "rhel-10-beta", "rhel-9.8-nightly"])
def test_a_template_is_for_rhel_only(name, template_name):
    image = {"content_template": TEMPLATE_ID, **template_name}
    request = compose_request(image=image, customizations={"subscription": OURS})
    assert refusal(request, distribution=a_distribution(name), answers=ANSWERS, content=CONTENT)


def test_a_template_without_subscription_is_for_others_too():
    image = {"content_template": TEMPLATE_ID}
    assert customizations_of("centos-9", image=image, answers=ANSWERS, hostname="h") == {"hostname": "h"}


@pytest.mark.parametrize("template_name", [{}, {"content_template_name": "my template"}])
def test_a_bootable_container_has_neither_name_nor_uuid(template_name):
    image = {"content_template": TEMPLATE_ID, **template_name}
    assert subscribed(None, image=image, answers=ANSWERS) == THEIRS


LABELS = Answers(
    red_hat=(
        known(1, label="rhel-9-for-x86_64-baseos-rpms"),
        known(2, label="rhel-9-for-x86_64-appstream-rpms"),
        known(3, label="codeready-builder"),
        known(4, label="ansible"),
        known(5, label=""),
        known(6, label="not-named"),
        known(7, label="rhel-9-for-x86_64-appstream-eus-rpms"),
    ),
    customer=(known(8, origin="external", label="of-the-customer"),),
)


def custom(*numbers):
    return {"custom_repositories": [{"id": a_uuid(number), "baseurl": ["https://own.example"]} for number in numbers]}


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ((3, 4), ["codeready-builder", "ansible"]),
        ((4, 3), ["ansible", "codeready-builder"]),
        ((1, 4, 2, 8, 3, 7, 5, 9), ["ansible", "codeready-builder"]),
        ((1, 2, 7), None),
        ((8,), None),
        ((5,), None),
        ((9,), None),
        ((), None),
    ],
)
def test_content_sets_are_the_labels_of_red_hat_s_among_the_custom_ones(numbers, expected):
    found = subscribed(others=custom(*numbers), answers=LABELS)
    assert found == (THEIRS if expected is None else {**THEIRS, "content_sets": expected})


def test_payload_repositories_are_no_content_sets():
    others = {"payload_repositories": [{"id": a_uuid(3), "rhsm": True}]}
    assert "content_sets" not in subscribed(others=others, answers=LABELS)


def test_content_sets_are_sent_with_a_template_and_for_a_bootable_container_too():
    answers = replace(LABELS, template=ANSWERS.template)
    image = {"content_template": TEMPLATE_ID}
    for name in ("rhel-9.8", None):
        found = subscribed(name, image=image, others=custom(4), answers=answers)
        assert found["content_sets"] == ["ansible"]


PROFILE = {"openscap": {"profile_id": "p"}}
RHCD = {"enabled": ["rhcd"]}


def services(name="rhel-9.8", *, insights=True, **ours):
    found = customizations_of(name, subscription={**OURS, "insights": insights}, **ours)
    return found.get("services")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("rhel-84", RHCD),
        ("rhel-8.10", RHCD),
        ("rhel-9.8", RHCD),
        ("rhel-10.0", None),
        ("rhel-10.2", None),
        ("centos-9", None),
        ("rhel-9.8-nightly", None),
        ("rhel-9-beta", None),
        (None, None),
    ],
)
def test_the_connector_is_enabled_before_rhel_10(name, expected):
    assert services(name, **PROFILE) == expected


def test_the_connector_is_enabled_for_a_policy_too():
    answers = Answers(policy=Policy(a_uuid(50), "ref", 9))
    ours = {"openscap": {"policy_id": a_uuid(50)}, "subscription": OURS}
    assert customizations_of(answers=answers, **ours)["services"] == RHCD


def test_without_insights_openscap_or_subscription_it_is_not_enabled():
    assert services(insights=False, **PROFILE) is None
    assert services() is None
    assert "services" not in customizations_of("rhel-9.8", **PROFILE)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, RHCD),
        ({"enabled": ["a"]}, {"enabled": ["a", "rhcd"]}),
        ({"enabled": ["rhcd", "a"]}, {"enabled": ["rhcd", "a"]}),
        ({"disabled": ["b"], "masked": ["c"]}, {"disabled": ["b"], "masked": ["c"], "enabled": ["rhcd"]}),
    ],
)
def test_the_connector_joins_the_request_s_services_once(given, expected):
    assert services(services=given, **PROFILE) == expected


def test_the_request_s_own_services_are_not_written_to():
    document = completed(
        compose_request(customizations={"services": {"enabled": ["a"]}, "subscription": OURS, **PROFILE})
    )
    before = repr(document)
    built(document, distribution=a_rhel("rhel-9.8"))
    assert repr(document) == before
