"""OpenSCAP profiles: which there are, and what they ask for."""

import pytest

from domain.distributions import Catalogue
from domain.errors import InvalidRequestError
from domain.profiles import Profiles
from tests.support.domain_builders import a_distribution

CIS = {"openscap": {"profile_id": "cis"}, "packages": ["aide"]}


def profiles():
    known = (
        a_distribution("rhel-9.6", profiles=("cis", "empty", "unnamed"), restricted=True),
        a_distribution("fedora-43"),
    )
    documents = {("rhel-9.6", "cis"): CIS, ("rhel-9.6", "unnamed"): {"packages": ["sudo"]}}
    return Profiles(Catalogue({each.name: each for each in known}), documents)


def test_the_profiles_of_a_distribution_are_listed_also_those_without_customizations():
    assert profiles().of("rhel-9.6") == ("cis", "empty", "unnamed")


@pytest.mark.parametrize("distribution", ["fedora-43", "rhel-9.7"])
def test_a_distribution_without_profiles_is_refused_by_name(distribution):
    with pytest.raises(InvalidRequestError, match=f"no OpenSCAP profiles for {distribution}"):
        profiles().of(distribution)


def test_a_profile_s_customizations_are_as_they_are():
    assert profiles().customizations("rhel-9.6", "cis") == CIS


@pytest.mark.parametrize(
    ("distribution", "profile"),
    [("rhel-9.6", "empty"), ("rhel-9.6", "unnamed"), ("rhel-9.6", "stig"), ("fedora-43", "cis"), ("rhel-9.7", "cis")],
)
def test_what_has_no_customizations_or_none_of_openscap_is_refused_by_name(distribution, profile):
    with pytest.raises(InvalidRequestError, match=f"profile {profile} for {distribution}"):
        profiles().customizations(distribution, profile)


def test_the_catalogue_knows_every_profile_once():
    known = (a_distribution("b", profiles=("stig", "x")), a_distribution("a", profiles=("cis", "stig")))
    assert Catalogue({each.name: each for each in known}).profiles == ("cis", "stig", "x")
