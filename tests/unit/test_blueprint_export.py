"""A blueprint to be handed on."""

import copy
from datetime import datetime

import pytest

from domain.blueprints.export import COMMUNITY_URLS, export_blueprint, find_community_urls
from domain.content import COMMUNITY, RED_HAT, UPLOAD
from tests.support.blueprint_documents import ID, MARK, REGISTERING_FILES, a_blueprint, checker
from tests.support.builders import SUBSCRIPTION, image_request
from tests.support.domain_builders import a_uuid, known

AT = datetime(2026, 1, 31, 12)
EPEL_10, EPEL_9, EPEL_8 = (f"https://dl.fedoraproject.org/pub/epel/{major}/Everything/x86_64/" for major in (10, 9, 8))
OWN_URL = "https://own.example/repository/"
COMMUNITY_EPEL_9 = known(9, EPEL_9, name="EPEL 9", origin=COMMUNITY)
COMMUNITY_EPEL_10 = known(10, EPEL_10, name="EPEL 10", origin=COMMUNITY)
KNOWN = (COMMUNITY_EPEL_9, COMMUNITY_EPEL_10)


def exported(*known_repositories, **fields):
    return export_blueprint(a_blueprint(**fields), known_repositories, AT)


def document(**fields):
    return exported(**fields).document


def customizations(*known_repositories, **ours):
    return exported(*known_repositories, customizations=ours).document["customizations"]


def test_an_export_is_what_the_blueprint_says_but_for_its_images_and_id():
    found = document(
        name="b",
        description="d",
        distribution="centos-9",
        bootc={"reference": "r"},
        customizations={"packages": ["vim"], "hostname": "h"},
    )
    del found["metadata"]
    assert found == {
        "name": "b",
        "description": "d",
        "distribution": "centos-9",
        "bootc": {"reference": "r"},
        "customizations": {"packages": ["vim"], "hostname": "h"},
    }


def test_the_least_export_has_nothing_without_a_value():
    assert document().keys() == {"name", "description", "customizations", "metadata"}


def test_the_metadata_says_where_it_comes_from():
    metadata = document()["metadata"]
    exported_at = metadata.pop("exported_at")
    assert metadata == {"parent_id": str(ID), "is_on_prem": False, "redacted": ["image_requests"]}
    assert datetime.fromisoformat(exported_at) == datetime.fromisoformat("2026-01-31T12:00:00Z")


@pytest.mark.parametrize(
    ("secret", "left"),
    [
        ({"subscription": {**SUBSCRIPTION, "activation-key": MARK}}, {}),
        ({"cacerts": {"pem_certs": [MARK]}}, {}),
        ({"users": [{"name": "u", "password": MARK}]}, {"users": [{"name": "u", "hasPassword": True}]}),
        (
            {"users": [{"name": "u", "ssh_key": "k", "groups": ["g"]}]},
            {"users": [{"name": "u", "ssh_key": "k", "groups": ["g"], "hasPassword": False}]},
        ),
        ({"users": []}, {"users": []}),
        (
            {"aap_registration": {"ansible_callback_url": "u", "host_config_key": MARK, "skip_tls_verification": True}},
            {"aap_registration": {"ansible_callback_url": "u", "host_config_key": "", "skip_tls_verification": True}},
        ),
        *[({"files": [{"path": path, "data": MARK}]}, {}) for path in REGISTERING_FILES],
        ({"files": [{"path": path, "data": MARK} for path in REGISTERING_FILES]}, {}),
        (
            {"files": [{"path": "/a"}, {"path": REGISTERING_FILES[0], "data": MARK}, {"path": "/b", "data": "b"}]},
            {"files": [{"path": "/a"}, {"path": "/b", "data": "b"}]},
        ),
        *[({"files": [{"path": f"{path}.d", "data": "x"}]},) * 2 for path in REGISTERING_FILES],
        *[({"directories": [{"path": path}]},) * 2 for path in REGISTERING_FILES],
    ],
)
def test_secrets_and_what_binds_to_an_organization_stay_behind(secret, left):
    assert customizations(hostname="h", **secret) == {"hostname": "h", **left}


def test_a_secret_alone_leaves_empty_customizations():
    assert customizations(subscription=SUBSCRIPTION) == {}


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        ([image_request(snapshot_date="2026-01-02")], {"snapshot_date": "2026-01-02"}),
        (
            [image_request(snapshot_date="2026-01-02"), image_request("aws", "aws", snapshot_date="2025-05-05")],
            {"snapshot_date": "2026-01-02"},
        ),
        ([image_request(), image_request("aws", "aws", snapshot_date="2025-05-05")], {}),
        ([image_request()], {}),
        ([], {}),
    ],
)
def test_the_snapshot_date_is_that_of_the_first_image(images, expected):
    found = document(image_requests=images)
    assert {name: value for name, value in found.items() if name == "snapshot_date"} == expected


def test_the_ids_of_custom_repositories_are_asked_for_in_order():
    ours = [{"id": a_uuid(2), "baseurl": [OWN_URL]}, {"id": a_uuid(1)}]
    found = exported(customizations={"custom_repositories": ours})
    assert found.repositories == (a_uuid(2), a_uuid(1))
    assert found.document["customizations"]["custom_repositories"] == ours


@pytest.mark.parametrize(
    "ours",
    [{}, {"custom_repositories": []}, {"payload_repositories": [{"rhsm": False, "id": "p", "baseurl": OWN_URL}]}],
)
def test_without_custom_repositories_nothing_is_asked_for(ours):
    assert exported(customizations=ours).repositories == ()


@pytest.mark.parametrize("url", [EPEL_10, EPEL_9, EPEL_8])
def test_community_repositories_are_asked_for_by_their_addresses(url):
    assert find_community_urls({"custom_repositories": [{"id": "c", "baseurl": [url]}]}) == (url,)


def test_each_community_address_is_asked_for_once():
    ours = [{"id": "c", "baseurl": [EPEL_9]}, {"id": "d", "baseurl": [EPEL_8]}, {"id": "e", "baseurl": [EPEL_9]}]
    assert sorted(find_community_urls({"custom_repositories": ours})) == [EPEL_8, EPEL_9]


@pytest.mark.parametrize(
    "ours",
    [
        {},
        {"custom_repositories": []},
        {"custom_repositories": [{"id": "c"}]},
        {"custom_repositories": [{"id": "c", "baseurl": []}]},
        {"custom_repositories": [{"id": "c", "baseurl": [OWN_URL, EPEL_9]}]},
        {"custom_repositories": [{"id": "c", "metalink": EPEL_9}]},
        {"payload_repositories": [{"rhsm": False, "baseurl": EPEL_9}]},
        {"custom_repositories": [{"id": "c", "baseurl": [EPEL_9.replace("x86_64", "aarch64")]}]},
        {"custom_repositories": [{"id": "c", "baseurl": [f"{EPEL_9}debug/"]}]},
    ],
)
def test_nothing_is_asked_for_where_no_first_address_is_a_community_s(ours):
    assert find_community_urls(ours) == ()


def test_the_community_addresses_are_those_of_epel():
    assert set(COMMUNITY_URLS) == {EPEL_10, EPEL_9, EPEL_8}


def test_a_custom_repository_of_the_community_takes_its_id_and_name():
    ours = {"id": a_uuid(1), "name": "mine", "baseurl": [EPEL_9, OWN_URL], "check_gpg": True, "gpgkey": ["k"]}
    [found] = customizations(*KNOWN, custom_repositories=[ours])["custom_repositories"]
    assert found == {**ours, "id": COMMUNITY_EPEL_9.uuid, "name": "EPEL 9"}


def test_the_community_repository_s_id_is_what_is_asked_for():
    ours = [{"id": a_uuid(1), "baseurl": [EPEL_10]}, {"id": a_uuid(2), "baseurl": [OWN_URL]}]
    assert exported(*KNOWN, customizations={"custom_repositories": ours}).repositories == (
        COMMUNITY_EPEL_10.uuid,
        a_uuid(2),
    )


def test_a_payload_repository_of_the_community_takes_its_id_alone():
    ours = {
        "custom_repositories": [{"id": a_uuid(1), "name": "mine", "baseurl": [EPEL_9]}],
        "payload_repositories": [
            {"rhsm": False, "id": a_uuid(1), "baseurl": EPEL_9, "check_gpg": True},
            {"rhsm": False, "id": a_uuid(2), "baseurl": OWN_URL},
            {"rhsm": False, "id": a_uuid(3), "metalink": EPEL_9},
        ],
    }
    first, *others = customizations(*KNOWN, **ours)["payload_repositories"]
    assert first == {**ours["payload_repositories"][0], "id": COMMUNITY_EPEL_9.uuid}
    assert others == ours["payload_repositories"][1:]


@pytest.mark.parametrize(
    "others",
    [
        (),
        (known(9, EPEL_9, name="n", origin="external"),),
        (known(9, EPEL_9, name="n", origin=UPLOAD),),
        (known(9, EPEL_9, name="n", origin=RED_HAT),),
        (COMMUNITY_EPEL_10,),
    ],
    ids=["none", "external", "upload", "Red Hat's", "another's"],
)
def test_a_repository_that_the_community_does_not_have_stays(others):
    ours = [{"id": a_uuid(1), "name": "mine", "baseurl": [EPEL_9]}]
    found = exported(*others, customizations={"custom_repositories": ours})
    assert found.document["customizations"]["custom_repositories"] == ours
    assert found.repositories == (a_uuid(1),)


def test_the_community_s_repository_is_found_beside_one_s_own_of_that_address():
    own = known(1, EPEL_9, name="own", origin="external")
    [found] = customizations(own, COMMUNITY_EPEL_9, own, custom_repositories=[{"id": own.uuid, "baseurl": [EPEL_9]}])[
        "custom_repositories"
    ]
    assert (found["id"], found["name"]) == (COMMUNITY_EPEL_9.uuid, "EPEL 9")


def test_a_repository_whose_first_address_is_its_own_stays():
    ours = [{"id": a_uuid(1), "name": "mine", "baseurl": [OWN_URL, EPEL_9]}]
    assert customizations(*KNOWN, custom_repositories=ours)["custom_repositories"] == ours


def test_an_export_fits_the_contract():
    ours = {"users": [{"name": "u", "password": MARK}], "custom_repositories": [{"id": "c", "baseurl": [EPEL_9]}]}
    assert checker("BlueprintExportResponse").is_valid(document(distribution="centos-9", customizations=ours))


def test_a_blueprint_is_not_changed_by_its_export():
    blueprint = a_blueprint(
        customizations={
            "users": [{"name": "u", "password": MARK}],
            "files": [{"path": REGISTERING_FILES[0]}],
            "custom_repositories": [{"id": "c", "baseurl": [EPEL_9]}],
            "aap_registration": {"ansible_callback_url": "u", "host_config_key": MARK},
        }
    )
    before = copy.deepcopy(blueprint)
    export_blueprint(blueprint, KNOWN, AT)
    assert blueprint == before
