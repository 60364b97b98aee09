"""The composer's request as a whole: distribution, image, repositories as they are, and what excludes each other."""

import pytest

from domain.distributions import Architecture
from tests.support.builders import compose_request
from tests.support.domain_builders import FITTING, a_distribution, a_repository, built, real_distributions, refusal

ENDS = {
    "snapshot_date": "2026-01-31",
    "content_template": "e3ee0a5c-1c7a-4ff6-a9ef-1c7a4ff6a9ef",
}


def an_image(**fields):
    return built(compose_request(image=fields))["image_request"]


def repositories(*given, image_type="guest-image", upload="aws.s3"):
    request = compose_request(image_type, upload)
    return built(request, distribution=a_distribution("centos-9", *given))["image_request"]["repositories"]


def test_a_request_has_nothing_that_was_not_asked_for():
    assert built() == {
        "distribution": "centos-9",
        "image_request": {
            "architecture": "x86_64",
            "image_type": "guest-image",
            "repositories": [{"baseurl": "https://mirror.example/baseos", "rhsm": False}],
            "upload_options": {"region": "us-east-1"},
        },
    }


@pytest.mark.parametrize("name", ["image_name", "image_description", "client_id"])
def test_what_only_the_row_keeps_is_not_sent(name):
    assert built(compose_request(**{name: "api"})) == built()


@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        ({"composer_name": "centos-stream-9"}, "centos-stream-9"),
        ({"composer_name": None}, "centos-9"),
        ({"composer_name": None, "canonical_name": "the-file-s-name"}, "the-file-s-name"),
        ({"composer_name": "theirs", "canonical_name": "the-file-s-name"}, "theirs"),
    ],
)
def test_the_distribution_goes_by_the_composer_s_name_or_the_file_s(fields, sent):
    distribution = a_distribution("centos-9", **fields)
    assert built(distribution=distribution)["distribution"] == sent


def test_ostree_is_sent_as_given():
    ostree = {"url": "https://o", "contenturl": "https://c", "ref": "r/x", "parent": "p", "rhsm": True}
    assert an_image(ostree=ostree)["ostree"] == ostree


@pytest.mark.parametrize("size", [0, 1, 2**63, 2**64 - 1])
def test_a_size_is_sent_as_given(size):
    assert an_image(size=size)["size"] == size


def test_an_architecture_the_distribution_lacks_is_refused():
    distribution = a_distribution(architectures={"x86_64": Architecture("x86_64")})
    request = compose_request(image={"architecture": "aarch64"})
    assert refusal(request, distribution=distribution) == "Architecture not supported"


def test_the_architecture_s_own_repositories_are_sent():
    architectures = {
        name: Architecture(name, repositories=(a_repository(f"of-{name}"),)) for name in ("x86_64", "aarch64")
    }
    image = built(
        compose_request(image={"architecture": "aarch64"}), distribution=a_distribution(architectures=architectures)
    )["image_request"]
    assert image["architecture"] == "aarch64"
    assert [repository["baseurl"] for repository in image["repositories"]] == ["https://mirror.example/of-aarch64"]


@pytest.mark.parametrize(
    "fields",
    [
        {"baseurl": "https://cdn/$basearch/os", "rhsm": True, "gpgkey": "-----BEGIN", "check_gpg": True},
        {"metalink": "https://mirrors/metalink?arch=$basearch", "baseurl": None, "rhsm": False, "check_gpg": False},
        {"baseurl": "https://mirror", "rhsm": False},
    ],
)
def test_a_repository_goes_as_the_file_has_it(fields):
    expected = {name: value for name, value in fields.items() if value is not None}
    assert repositories(a_repository("one", **fields)) == [expected]


def test_repositories_keep_the_file_s_order():
    sent = repositories(*(a_repository(name) for name in ("z", "a", "m")))
    assert [repository["baseurl"][-1] for repository in sent] == ["z", "a", "m"]


@pytest.mark.parametrize(
    ("image_type", "upload", "expected"),
    [
        ("guest-image", "aws.s3", ["all"]),
        ("gcp", "gcp", ["all", "google"]),
        ("ami", "aws", ["all", "old-name"]),
        ("aws", "aws", ["all", "new-name"]),
    ],
)
def test_a_tagged_repository_is_for_the_image_type_as_requested(image_type, upload, expected):
    sent = repositories(
        a_repository("all"),
        a_repository("google", tags=("gcp", "azure")),
        a_repository("old-name", tags=("ami",)),
        a_repository("new-name", tags=("aws",)),
        image_type=image_type,
        upload=upload,
    )
    assert [repository["baseurl"].rpartition("/")[2] for repository in sent] == expected


@pytest.mark.parametrize("name", ["payload_repositories", "custom_repositories"])
def test_an_empty_list_of_repositories_asks_for_nothing(name):
    assert built(compose_request(customizations={name: []})).get("customizations") == {}


@pytest.mark.parametrize("name", ENDS)
def test_an_empty_text_asks_for_no_snapshot(name):
    assert built(compose_request(image={name: ""})) == built()


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"distribution": None}, "either distribution or bootc needs to be set"),
        ({"bootc": {"reference": "r"}}, "either distribution or bootc needs to be set, but not both"),
        (
            {"image": ENDS},
            "Either a snapshot date or content template can be specified, but not both",
        ),
    ],
)
def test_what_excludes_each_other_is_refused(fields, text):
    assert refusal(compose_request(**fields)) == text


@pytest.mark.parametrize("architecture", ["x86_64", "aarch64"])
@pytest.mark.parametrize("name", [name for name, each in real_distributions().items() if not each.is_bootc_only])
def test_every_installed_distribution_builds_every_image_type_for_every_target(name, architecture):
    distribution = real_distributions()[name]
    assert architecture in distribution.architectures
    for (upload, image_type), theirs in FITTING.items():
        request = compose_request(image_type, upload, distribution=name, image={"architecture": architecture})
        sent = built(request, distribution=distribution)
        assert sent["distribution"] == distribution.composer_distribution
        assert sent["image_request"]["image_type"] == theirs
        assert sent["image_request"]["repositories"], (upload, image_type)
