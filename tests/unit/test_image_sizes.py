"""How large an image may be, and what counts as a size."""

import pytest

from tests.support.builders import compose_request
from tests.support.domain_builders import built, refusal

GIB = 1024**3
AWS_LIMIT = "Total AWS image size cannot exceed 68719476736 bytes"
AZURE_LIMIT = "Total Azure image size cannot exceed 137438953472 bytes"
CLOUDS = [
    ("aws", "aws", 64 * GIB, AWS_LIMIT),
    ("ami", "aws", 64 * GIB, AWS_LIMIT),
    ("azure", "azure", 128 * GIB, AZURE_LIMIT),
    ("vhd", "azure", 128 * GIB, AZURE_LIMIT),
]
NO_SIZES = [
    *["10", "10 GiB", "", 1.5, 1.0, 1e3, -1, -(2**63), 2**64, 2**64 + 1, 10**30, True, False, None, [], [1], {}],
]


def a_request(image_type, upload, *filesystem, size=None):
    return compose_request(
        image_type,
        upload,
        image={} if size is None else {"size": size},
        customizations={
            "filesystem": [{"mountpoint": f"/{number}", "min_size": each} for number, each in enumerate(filesystem)]
        },
    )


@pytest.mark.parametrize(("image_type", "upload", "limit", "_text"), CLOUDS)
def test_an_image_may_be_as_large_as_its_cloud_takes(image_type, upload, limit, _text):
    assert built(a_request(image_type, upload, size=limit))["image_request"]["size"] == limit


@pytest.mark.parametrize(("image_type", "upload", "limit", "text"), CLOUDS)
@pytest.mark.parametrize("more", [1, GIB, 2**64 - 1 - 128 * GIB])
def test_an_image_larger_than_its_cloud_takes_is_refused(image_type, upload, limit, text, more):
    assert refusal(a_request(image_type, upload, size=limit + more)) == text


@pytest.mark.parametrize(("image_type", "upload", "limit", "_text"), CLOUDS)
def test_filesystems_may_fill_the_limit_together(image_type, upload, limit, _text):
    assert built(a_request(image_type, upload, limit - GIB, GIB))


@pytest.mark.parametrize(("image_type", "upload", "limit", "text"), CLOUDS)
def test_filesystems_count_together(image_type, upload, limit, text):
    assert refusal(a_request(image_type, upload, limit - GIB, GIB, 1)) == text


@pytest.mark.parametrize(("image_type", "upload", "limit", "_text"), CLOUDS)
def test_size_and_filesystems_do_not_add_up(image_type, upload, limit, _text):
    assert built(a_request(image_type, upload, limit, size=limit))


@pytest.mark.parametrize(("image_type", "upload", "limit", "text"), CLOUDS)
@pytest.mark.parametrize(("filesystem", "size"), [(1, 0), (0, 1)])
def test_the_larger_of_size_and_filesystems_decides(image_type, upload, limit, text, filesystem, size):
    assert refusal(a_request(image_type, upload, limit * filesystem + filesystem, size=limit * size + size)) == text


@pytest.mark.parametrize(
    ("image_type", "upload"), [("guest-image", "aws.s3"), ("gcp", "gcp"), ("oci", "oci.objectstorage")]
)
def test_other_targets_have_no_limit_of_their_own(image_type, upload):
    assert built(a_request(image_type, upload, 2**63, 2**63, size=2**64 - 1))


@pytest.mark.parametrize("wrong", NO_SIZES, ids=repr)
def test_a_size_that_is_no_whole_number_of_bytes_is_refused(wrong):
    request = compose_request(image={"size": 0})
    request["image_requests"][0]["size"] = wrong
    text = refusal(request)
    assert "size" in text
    assert "min_size" not in text


@pytest.mark.parametrize("wrong", NO_SIZES, ids=repr)
def test_a_minimal_size_that_is_no_whole_number_of_bytes_is_refused(wrong):
    request = a_request("guest-image", "aws.s3", 1, 1)
    request["customizations"]["filesystem"][1]["min_size"] = wrong
    assert "customizations.filesystem[1].min_size" in refusal(request)


@pytest.mark.parametrize("size", [0, 1, 2**53 + 1, 2**63, 2**64 - 1])
def test_a_minimal_size_keeps_every_digit(size):
    sent = built(a_request("guest-image", "aws.s3", size))
    assert sent["customizations"]["filesystem"][0]["min_size"] == size
