"""Bodies of blueprints, whichever program stored them, and what is composed of them."""

import copy

import pytest

from domain.blueprints.blueprint import extract_body, find_policy_id, normalize_body
from domain.blueprints.composing import create_compose_requests
from domain.compose.passwords import present_request
from tests.support.blueprint_documents import POLICY, a_blueprint, a_document, checker
from tests.support.builders import image_request

NO_POLICY = "00000000-0000-0000-0000-000000000000"
PROFILE = {"profile_id": "xccdf_org.ssgproject.content_profile_cis"}
IMAGES = [image_request("guest-image"), image_request("aws", "aws"), image_request("vsphere")]
BOOTC = {"reference": "quay.io/a/b:latest"}


def a_body(**fields):
    return {"image_requests": IMAGES, "customizations": {"packages": ["vim"]}, **fields}


def as_customized(customizations):
    return normalize_body(a_body(customizations=customizations))["customizations"]


@pytest.mark.parametrize("source", [{}, {"distribution": "rhel-9"}, {"bootc": BOOTC}])
def test_a_body_is_what_a_version_keeps_of_a_document(source):
    document = a_document(description="d", metadata={"parent_id": None}, **source)
    assert extract_body(document) == {
        "image_requests": document["image_requests"],
        "customizations": document["customizations"],
        **source,
    }


@pytest.mark.parametrize("source", [{}, {"distribution": "rhel-9"}, {"bootc": BOOTC}])
def test_a_body_is_read_as_it_was_kept(source):
    body = extract_body(a_document(image_requests=IMAGES, customizations={"openscap": PROFILE, "users": []}, **source))
    assert normalize_body(body) == body


@pytest.mark.parametrize(
    "more", [{"name": "n"}, {"description": ""}, {"metadata": {"parent_id": None}}, {"id": "x"}, {"lint": {}}]
)
def test_what_an_old_fixup_left_in_a_body_is_not_read(more):
    assert normalize_body(a_body(**more)) == a_body()


@pytest.mark.parametrize(
    ("stored", "read"),
    [
        ({"packages": None, "hostname": "h"}, {"hostname": "h"}),
        ({"kernel": {"name": None, "append": "a"}}, {"kernel": {"append": "a"}}),
        ({"users": [{"name": "u", "password": None, "groups": None}]}, {"users": [{"name": "u"}]}),
        ({"fips": {"enabled": False}, "packages": []}, {"fips": {"enabled": False}, "packages": []}),
        ({"hostname": "", "filesystem": [{"mountpoint": "/", "min_size": 0}]},) * 2,
        (None, {}),
    ],
)
def test_nulls_are_as_if_they_were_not_there(stored, read):
    assert as_customized(stored) == read


@pytest.mark.parametrize("name", ["distribution", "bootc"])
def test_a_null_source_is_none(name):
    assert normalize_body(a_body(**{name: None})) == a_body()


def test_a_body_of_nothing_is_read_as_an_empty_one():
    assert normalize_body({}) == {"image_requests": [], "customizations": {}}


@pytest.mark.parametrize(
    ("stored", "read"),
    [
        ({**PROFILE, "policy_id": NO_POLICY}, PROFILE),
        ({**PROFILE, "policy_id": NO_POLICY, "profile_name": "n"}, {**PROFILE, "profile_name": "n"}),
        ({**PROFILE, "policy_id": None}, PROFILE),
        (PROFILE, PROFILE),
        ({"policy_id": POLICY}, {"policy_id": POLICY}),
    ],
)
def test_a_policy_of_zeros_is_none(stored, read):
    assert as_customized({"openscap": stored, "hostname": "h"}) == {"openscap": read, "hostname": "h"}


@pytest.mark.parametrize("said", [True, False])
@pytest.mark.parametrize(("password", "has_password"), [({}, False), ({"password": "$6$salt$h"}, True)])
def test_a_user_has_a_password_where_one_is_stored_whatever_else_is(said, password, has_password):
    body = normalize_body(a_body(customizations={"users": [{"name": "u", "hasPassword": said, **password}]}))
    assert present_request(body)["customizations"]["users"] == [{"name": "u", "hasPassword": has_password}]


def test_a_policy_of_zeros_without_a_profile_is_no_openscap_at_all():
    assert as_customized({"openscap": {"policy_id": NO_POLICY}, "hostname": "h"}) == {"hostname": "h"}


@pytest.mark.parametrize(
    ("openscap", "policy"),
    [
        (None, None),
        (PROFILE, None),
        ({**PROFILE, "policy_id": NO_POLICY}, None),
        ({"policy_id": NO_POLICY}, None),
        ({"policy_id": POLICY}, POLICY),
    ],
)
def test_the_policy_that_a_body_follows_is_never_that_of_zeros(openscap, policy):
    customizations = {} if openscap is None else {"openscap": openscap}
    assert find_policy_id(a_body(customizations=customizations)) == policy
    assert a_blueprint(customizations=customizations).policy_id == policy


def test_a_body_without_customizations_follows_no_policy():
    assert find_policy_id({}) is None


def test_the_stored_body_is_not_changed_by_reading_it():
    stored = a_body(name="n", distribution=None, customizations={"openscap": {**PROFILE, "policy_id": NO_POLICY}})
    before = copy.deepcopy(stored)
    normalize_body(stored)
    assert stored == before


def composed(blueprint, image_types=None, client_id="api"):
    requests = create_compose_requests(blueprint, client_id, image_types)
    assert all(checker("ComposeRequest").is_valid(request) for request in requests)
    return requests


def types_of(requests):
    return [image["image_type"] for request in requests for image in request["image_requests"]]


def test_a_blueprint_stands_for_one_compose_request_for_each_image():
    blueprint = a_blueprint(
        name="b", description="d", distribution="centos-9", image_requests=IMAGES, customizations={"packages": ["vim"]}
    )
    assert composed(blueprint, client_id="ui") == tuple(
        {
            "distribution": "centos-9",
            "image_name": "b",
            "image_description": "d",
            "client_id": "ui",
            "customizations": {"packages": ["vim"]},
            "image_requests": [image],
        }
        for image in IMAGES
    )


@pytest.mark.parametrize("fields", [{"bootc": BOOTC}, {"bootc": BOOTC, "distribution": "centos-9"}])
def test_of_a_bootable_container_no_distribution_is_sent(fields):
    [request] = composed(a_blueprint(image_requests=IMAGES[:1], **fields))
    assert request["bootc"] == BOOTC
    assert "distribution" not in request


def test_of_a_blueprint_of_nothing_neither_is_sent():
    [request] = composed(a_blueprint(image_requests=IMAGES[:1]))
    assert not {"bootc", "distribution"} & request.keys()


@pytest.mark.parametrize(
    ("image_types", "expected"),
    [
        (None, ["guest-image", "aws", "vsphere"]),
        (["aws"], ["aws"]),
        (["vsphere", "guest-image"], ["guest-image", "vsphere"]),
        (["aws", "aws"], ["aws"]),
        (["aws", "gcp"], ["aws"]),
        (["gcp"], []),
        (["ami"], []),
        ([], []),
    ],
)
def test_only_the_images_of_the_types_asked_for_are_composed(image_types, expected):
    assert types_of(composed(a_blueprint(image_requests=IMAGES), image_types)) == expected


def test_two_images_of_one_type_are_both_composed():
    images = [image_request(size=1), image_request(size=2)]
    requests = composed(a_blueprint(image_requests=images), ["guest-image"])
    assert [request["image_requests"] for request in requests] == [[image] for image in images]


@pytest.mark.parametrize(
    ("name", "image_name"),
    [("b", "b"), (" b ", " b "), ("x" * 100, "x" * 100), ("x" * 101, "x" * 100), ("é" * 200, "é" * 100)],
    ids=["short", "with blanks", "100", "101", "200"],
)
def test_an_image_is_called_as_its_blueprint_as_far_as_there_is_room(name, image_name):
    [request] = composed(a_blueprint(name=name, image_requests=IMAGES[:1]))
    assert request["image_name"] == image_name


def test_an_old_body_is_composed_as_it_is_read():
    stored = {
        **a_body(image_requests=IMAGES[:1]),
        "name": "old",
        "description": None,
        "metadata": None,
        "distribution": "rhel-8",
        "customizations": {
            "openscap": {**PROFILE, "policy_id": NO_POLICY},
            "users": [{"name": "u", "hasPassword": True, "password": "$6$salt$h"}],
            "kernel": {"append": " audit=1"},
        },
    }
    [request] = composed(a_blueprint(**{"bootc": None, **normalize_body(stored)}))
    assert request["customizations"]["openscap"] == PROFILE
    assert request["customizations"]["users"][0]["password"] == "$6$salt$h"
    assert request["image_name"] == "b"
