import re

import pytest

from domain.distributions import (
    AllowList,
    Architecture,
    BootcImage,
    Catalogue,
    Distribution,
    Repository,
    rhel_version,
)
from domain.errors import ForbiddenError, InvalidRequestError


def a_repository(repository_id="baseos", *, rhsm=False, tags=()):
    return Repository(repository_id, rhsm, baseurl=f"https://mirror/{repository_id}", image_type_tags=tags)


def a_distribution(name="centos-9", *architectures, **fields):
    given = {"canonical_name": name, "description": f"About {name}", "module_platform_id": "platform:el9"}
    return Distribution(name=name, architectures={a.name: a for a in architectures}, **given | fields)


def a_rhel(name="rhel-9.8", **fields):
    return a_distribution(name, Architecture("x86_64", repositories=(a_repository(rhsm=True),)), **fields)


def a_catalogue(*distributions, **patterns):
    allowed = {org.lstrip("_"): tuple(map(re.compile, given)) for org, given in patterns.items()}
    return Catalogue({d.name: d for d in distributions}, AllowList(allowed))


def an_allow_list(**patterns):
    return a_catalogue(**patterns).allow_list


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("rhel-84", (8, 4)),
        ("rhel-90", (9, 0)),
        ("rhel-9.8", (9, 8)),
        ("rhel-8.10", (8, 10)),
        ("rhel-10.2", (10, 2)),
    ],
)
def test_a_rhel_name_tells_major_and_minor(name, version):
    assert rhel_version(name) == version


@pytest.mark.parametrize(
    "name",
    [
        "rhel-9",
        "rhel-810",
        "rhel-9-nightly",
        "rhel-9.7-nightly",
        "rhel-10-beta",
        "rhel-100.1",
        "rhel-9.",
        "xrhel-84",
        "rhel-84\n",
        "rhel-٨٤",
        "centos-9",
        "fedora-42",
        "",
    ],
)
def test_any_other_name_is_no_rhel_version(name):
    assert rhel_version(name) is None


def test_an_image_type_gets_the_untagged_repositories_and_its_own_in_file_order():
    tagged, plain, other = (
        a_repository("google", tags=("gcp",)),
        a_repository("baseos"),
        a_repository("azure", tags=("azure", "vhd")),
    )
    architecture = Architecture("x86_64", repositories=(tagged, plain, other))
    assert architecture.repositories_for("gcp") == (tagged, plain)
    assert architecture.repositories_for("vhd") == (plain, other)
    assert architecture.repositories_for("aws") == architecture.untagged_repositories == (plain,)


def test_a_subscription_on_x86_64_makes_a_distribution_need_an_entitlement():
    with_rhsm = (a_repository(), a_repository("appstream", rhsm=True))
    assert a_distribution("d", Architecture("x86_64", repositories=with_rhsm)).needs_entitlement
    assert not a_distribution("d", Architecture("aarch64", repositories=with_rhsm)).needs_entitlement
    assert not a_distribution("d").needs_entitlement


def test_the_composer_is_told_its_own_name_or_else_the_canonical_one():
    assert a_distribution("rhel-95", composer_name="rhel-9.5").composer_distribution == "rhel-9.5"
    assert a_distribution("rhel-8", canonical_name="rhel-8.10").composer_distribution == "rhel-8.10"


def test_a_missing_architecture_is_the_callers_mistake():
    distribution = a_distribution("centos-9", Architecture("x86_64"))
    assert distribution.architecture("x86_64").name == "x86_64"
    with pytest.raises(InvalidRequestError, match=r"^Architecture not supported$"):
        distribution.architecture("aarch64")


def test_bootc_only_means_bootc_images_and_no_image_types():
    bootc = (BootcImage("guest-image", "quay.io/a"),)
    assert a_distribution("d", Architecture("x86_64", bootc=bootc)).is_bootc_only
    assert not a_distribution("d", Architecture("x86_64", ("aws",), bootc=bootc)).is_bootc_only
    assert not a_distribution("d").is_bootc_only


def test_an_empty_allow_list_allows_nothing():
    assert not AllowList().allows("1", "fedora-42")
    assert not an_allow_list(_1=()).allows("1", "fedora-42")


def test_an_organisations_patterns_match_anywhere_in_the_name_and_for_nobody_else():
    allowed = an_allow_list(_1=["dora", "^rhel-9$"])
    assert allowed.allows("1", "fedora-42")
    assert not allowed.allows("1", "rhel-9-nightly")
    assert not allowed.allows("2", "fedora-42")


def test_the_star_applies_to_every_organisation_beside_its_own_patterns():
    allowed = AllowList({"*": (re.compile("fedora"),), "1": (re.compile("nightly"),)})
    assert allowed.allows("1", "fedora-42")
    assert allowed.allows("1", "rhel-9-nightly")
    assert allowed.allows("2", "fedora-42")
    assert not allowed.allows("2", "rhel-9-nightly")


@pytest.mark.parametrize("name", ["debian-13", "rhel-9.8"])
def test_unknown_and_not_entitled_are_the_same_to_the_caller(name):
    catalogue = a_catalogue(a_rhel())
    assert catalogue.find(name, entitled=False) is None
    with pytest.raises(InvalidRequestError, match=r"^distribution not available$"):
        catalogue.get_for(name, org_id="1", entitled=False)


def test_with_an_entitlement_rhel_is_there():
    rhel = a_rhel()
    assert a_catalogue(rhel).get_for("rhel-9.8", org_id="1", entitled=True) is rhel


def test_a_restricted_alias_is_judged_by_its_target_and_refused_by_the_targets_name():
    alias = a_distribution("fedora", canonical_name="fedora-42", restricted=True)
    catalogue = a_catalogue(alias, _1=["fedora-42"])
    assert catalogue.get_for("fedora", org_id="1", entitled=False) is alias
    with pytest.raises(ForbiddenError) as refusal:
        catalogue.get_for("fedora", org_id="2", entitled=False)
    assert refusal.value.detail == ("This account's organization is not authorized to build fedora-42 images")


def test_a_restricted_distribution_without_entitlement_does_not_exist_rather_than_being_forbidden():
    with pytest.raises(InvalidRequestError):
        a_catalogue(a_rhel(restricted=True)).get_for("rhel-9.8", org_id="1", entitled=False)


def test_a_caller_sees_exactly_what_they_could_get_sorted_by_name():
    catalogue = a_catalogue(
        a_rhel(),
        a_distribution("fedora-42", restricted=True),
        a_distribution("centos-9"),
        a_distribution("hummingbird", restricted=True),
        _1=["fedora"],
    )

    def seen(**caller):
        return [d.name for d in catalogue.visible_to(**caller)]

    assert seen(org_id="1", entitled=True) == ["centos-9", "fedora-42", "rhel-9.8"]
    assert seen(org_id="2", entitled=False) == ["centos-9"]
    assert catalogue.names == ("centos-9", "fedora-42", "hummingbird", "rhel-9.8")
    assert [d.name for d in catalogue.entitled_to(entitled=False)] == ["centos-9", "fedora-42", "hummingbird"]


def a_bootc_catalogue():
    x86_64 = Architecture(
        "x86_64",
        repositories=(a_repository(rhsm=True),),
        bootc=(BootcImage("guest-image", "quay.io/qcow2"), BootcImage("aws", "quay.io/ec2")),
    )
    aarch64 = Architecture("aarch64", bootc=(BootcImage("iso", "quay.io/iso", ("quay.io/qcow2",)),))
    return a_catalogue(
        a_distribution("rhel-10.2", x86_64, aarch64, restricted=True),
        a_distribution("rhel-10", x86_64, canonical_name="rhel-10.2", description=""),
        a_distribution("hummingbird", Architecture("x86_64", bootc=(BootcImage("aws", "quay.io/ec2"),))),
    )


def test_bootc_images_are_listed_sorted_for_everybody_aliases_included():
    listed = [(b.distro, b.name, b.arch, b.type) for b in a_bootc_catalogue().list_bootc_images()]
    assert listed == [
        ("hummingbird", "About hummingbird", "x86_64", "aws"),
        ("rhel-10", "rhel-10.2", "x86_64", "aws"),
        ("rhel-10", "rhel-10.2", "x86_64", "guest-image"),
        ("rhel-10.2", "About rhel-10.2", "x86_64", "aws"),
        ("rhel-10.2", "About rhel-10.2", "x86_64", "guest-image"),
        ("rhel-10.2", "About rhel-10.2", "aarch64", "iso"),
    ]


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({"distro": "rhel-10.2"}, 3),
        ({"arch": "aarch64"}, 1),
        ({"type": "aws"}, 3),
        ({"distro": "rhel-10", "type": "iso"}, 0),
        ({"distro": ""}, 0),
    ],
)
def test_bootc_filters_all_have_to_match(filters, count):
    assert len(a_bootc_catalogue().list_bootc_images(**filters)) == count


def test_a_listed_installer_carries_its_payloads():
    (listed,) = a_bootc_catalogue().list_bootc_images(arch="aarch64")
    assert (listed.reference, listed.iso_payload_references) == ("quay.io/iso", ("quay.io/qcow2",))


def test_a_bootc_reference_is_found_only_where_the_caller_is_entitled():
    catalogue = a_bootc_catalogue()
    assert catalogue.find_bootc_images("quay.io/qcow2", entitled=False) == ()
    assert catalogue.find_bootc_images("quay.io/ec2", entitled=False) == (BootcImage("aws", "quay.io/ec2"),)
    assert len(catalogue.find_bootc_images("quay.io/ec2", entitled=True)) == 3
    assert catalogue.find_bootc_images("quay.io/iso", entitled=True)[0].iso_payload_references == ("quay.io/qcow2",)
