"""Package search: who may search, in lists or at the composer."""

import pytest

from domain.compose.repositories import write_repository
from domain.distributions import AllowList, Architecture, BootcImage, Catalogue
from domain.errors import ForbiddenError, InvalidRequestError, UnavailableError
from domain.identity import Identity
from domain.packages import Package, PackagesPage
from domain.paging import Page
from image_builder.usecases.packages import SearchPackages
from tests.support.domain_builders import a_distribution, a_repository, a_rhel

CALLER = Identity("000001", account_number="7", email="u@example.com", entitled=False)
ALL = Page(limit=100, offset=0)
LISTED = PackagesPage(1, (Package("listed", ""),))
TAGGED = a_repository("google", tags=("gcp",))
BASEOS = a_repository(metalink="https://m", baseurl=None, gpgkey="https://k", check_gpg=True)
BOOTC = a_distribution(
    "bootc-1", architectures={"x86_64": Architecture("x86_64", bootc=(BootcImage("qcow2", "registry.example/image"),))}
)


class FakeLists:
    def __init__(self, answer=None):
        self.answer = answer
        self.asked = []

    def search(self, distribution, architecture, text, page):
        self.asked.append((distribution.name, architecture, text, page))
        return self.answer


class FakeComposer:
    def __init__(self, *packages, error=None):
        self.packages = packages
        self.error = error
        self.asked = []

    def search_packages(self, distribution, architecture, repositories, text):
        self.asked.append((distribution, architecture, repositories, text))
        if self.error:
            raise self.error
        return self.packages


def a_search(*distributions, lists=None, composer=None):
    known = distributions or (a_distribution("centos-9", BASEOS, TAGGED, composer_name="centos-stream-9"), BOOTC)
    catalogue = Catalogue({each.name: each for each in known}, AllowList())
    return SearchPackages(catalogue, lists or FakeLists(), composer or FakeComposer())


def test_package_lists_are_searched_where_they_exist():
    lists, composer = FakeLists(LISTED), FakeComposer(Package("vim", ""))
    page = Page(5, 10)
    assert a_search(lists=lists, composer=composer)(CALLER, "centos-9", "aarch64", "li", page) == LISTED
    assert (lists.asked, composer.asked) == ([("centos-9", "aarch64", "li", page)], [])


def test_a_search_without_a_match_in_the_lists_does_not_ask_the_composer():
    nothing = PackagesPage(0, ())
    composer = FakeComposer(Package("vim", ""))
    assert a_search(lists=FakeLists(nothing), composer=composer)(CALLER, "centos-9", "x86_64", "vim", ALL) == nothing


def test_without_lists_the_composer_is_asked_for_the_repositories_of_every_image_type():
    composer = FakeComposer()
    a_search(composer=composer)(CALLER, "centos-9", "aarch64", "vim", ALL)
    assert composer.asked == [("centos-stream-9", "aarch64", [write_repository(BASEOS)], "vim")]


def test_the_composer_s_packages_are_ranked_and_paged_by_the_same_rules():
    found = [Package(*each) for each in (("openssh", ""), ("sshd", ""), ("SSH", ""), ("ssh", "new"), ("ssh", "old"))]
    search = a_search(composer=FakeComposer(*found))
    assert search(CALLER, "centos-9", "x86_64", "ssh", Page(2, 0)) == PackagesPage(
        3, (Package("ssh", "new"), Package("sshd", ""))
    )


def test_a_distribution_without_repositories_has_no_packages():
    composer = FakeComposer(Package("vim", ""))
    assert a_search(composer=composer)(CALLER, "bootc-1", "x86_64", "", ALL) == PackagesPage(0, ())
    assert composer.asked == []


def test_an_unavailable_composer_raises_an_unavailable_error():
    search = a_search(composer=FakeComposer(error=UnavailableError("away")))
    with pytest.raises(UnavailableError):
        search(CALLER, "centos-9", "x86_64", "vim", ALL)


@pytest.mark.parametrize("name", ["plan9-4", "rhel-9.8"])
def test_a_distribution_that_does_not_exist_for_the_caller_is_not_searched(name):
    lists = FakeLists(LISTED)
    with pytest.raises(InvalidRequestError, match="distribution not available"):
        a_search(a_rhel(), lists=lists)(CALLER, name, "x86_64", "vim", ALL)
    assert lists.asked == []


def test_a_restricted_distribution_is_not_searched():
    with pytest.raises(ForbiddenError):
        a_search(a_distribution(restricted=True), lists=FakeLists(LISTED))(CALLER, "centos-9", "x86_64", "vim", ALL)


def test_an_architecture_the_distribution_lacks_is_not_searched():
    with pytest.raises(InvalidRequestError, match="Architecture not supported"):
        a_search(lists=FakeLists(LISTED))(CALLER, "bootc-1", "aarch64", "vim", ALL)
