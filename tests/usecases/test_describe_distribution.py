"""The details of a distribution: who may read them, and the composer's answers."""

import pytest

from domain.distributions import AllowList, Architecture, BootcImage, Catalogue
from domain.errors import InvalidRequestError, NotFoundError, UnavailableError
from domain.identity import Identity
from image_builder.usecases.distributions import DescribeDistribution
from tests.support.domain_builders import a_distribution, a_repository, a_rhel

CALLER = Identity("000001", account_number="7", email="u@example.com", entitled=False)
IMAGES = (BootcImage("qcow2", "registry.example/image"),)


class FakeComposer:
    def __init__(self, answer=None, error=None):
        self.answer = answer or {"name": "theirs"}
        self.error = error
        self.asked = []

    def distribution(self, name, image_types, architectures):
        self.asked.append((name, image_types, architectures))
        if self.error:
            raise self.error
        return self.answer


def described(distribution, composer, image_types=(), architectures=(), name=None):
    catalogue = Catalogue({distribution.name: distribution}, AllowList())
    return DescribeDistribution(catalogue, composer)(CALLER, name or distribution.name, image_types, architectures)


def test_the_composer_gets_its_own_name_of_the_distribution_and_all_filters():
    composer = FakeComposer()
    described(
        a_distribution("centos-9", a_repository(), composer_name="centos-stream-9"),
        composer,
        ["aws", "guest-image"],
        ["x86_64"],
    )
    assert composer.asked == [("centos-stream-9", ["aws", "guest-image"], ["x86_64"])]


def test_the_answer_is_the_composer_s_with_the_requested_name():
    answer = {"name": "centos-stream-9", "architectures": {"x86_64": {"of_the_future": None}}, "more": [1]}
    assert described(a_distribution("centos-9", a_repository()), FakeComposer(answer)) == {**answer, "name": "centos-9"}


def test_a_caller_who_is_not_on_the_allow_list_may_read_the_details():
    assert described(a_distribution("centos-9", restricted=True), FakeComposer())["name"] == "centos-9"


@pytest.mark.parametrize("name", ["plan9-4", "rhel-9.8"])
def test_a_distribution_that_does_not_exist_for_the_caller_is_not_found(name):
    composer = FakeComposer()
    with pytest.raises(NotFoundError):
        described(a_rhel(), composer, name=name)
    assert composer.asked == []


def test_a_distribution_of_bootable_containers_alone_is_refused_by_name():
    composer = FakeComposer()
    only = a_distribution("bootc-1", architectures={"x86_64": Architecture("x86_64", bootc=IMAGES)})
    with pytest.raises(InvalidRequestError, match="bootc-1"):
        described(only, composer)
    assert composer.asked == []


def test_a_distribution_of_both_kinds_is_described():
    both = a_distribution("both", architectures={"x86_64": Architecture("x86_64", ("aws",), bootc=IMAGES)})
    assert described(both, FakeComposer())["name"] == "both"


@pytest.mark.parametrize("error", [NotFoundError("no"), UnavailableError("away")])
def test_errors_of_the_composer_are_passed_on(error):
    with pytest.raises(type(error)):
        described(a_distribution("centos-9"), FakeComposer(error=error))
