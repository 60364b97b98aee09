"""Images made from a bootable container."""

import pytest

from domain.distributions import Architecture, BootcImage, Catalogue
from tests.support.builders import compose_request
from tests.support.domain_builders import (
    a_distribution,
    a_repository,
    built,
    customized,
    real_distributions,
    refusal,
)

REFERENCE = "quay.io/a/image:latest"
PAYLOAD = "quay.io/a/payload:latest"
LISTED = (BootcImage("guest-image", REFERENCE), BootcImage("bootable-container-iso", REFERENCE, (PAYLOAD,)))
ISO = ("bootable-container-iso", "aws.s3")


def a_request(image_type="guest-image", upload="aws.s3", *, payload=None, **fields):
    bootc = {"reference": REFERENCE}
    if payload is not None:
        bootc["iso_payload_reference"] = payload
    return compose_request(image_type, upload, distribution=None, bootc=bootc, **fields)


def a_catalogue(**images):
    return Catalogue(
        {
            name: a_distribution(
                name,
                architectures={
                    "x86_64": Architecture("x86_64", repositories=(a_repository(rhsm=name.startswith("rhel")),)),
                    "aarch64": Architecture("aarch64", bootc=(BootcImage("guest-image", reference),)),
                },
            )
            for name, reference in images.items()
        }
    )


def test_a_bootc_image_has_no_repositories_and_no_distribution():
    assert built(a_request(), bootc=LISTED) == {
        "bootc": {"reference": REFERENCE},
        "image_request": {
            "architecture": "x86_64",
            "image_type": "guest-image",
            "repositories": [],
            "upload_options": {"region": "us-east-1"},
        },
    }


def test_a_reference_that_is_not_listed_is_refused():
    assert refusal(a_request()) == f"bootc reference '{REFERENCE}' not found"


@pytest.mark.parametrize("architecture", ["x86_64", "aarch64"])
@pytest.mark.parametrize(
    ("image_type", "upload"), [("guest-image", "aws.s3"), ("aws", "aws"), ("vhd", "azure"), ("gcp", "gcp"), ISO]
)
def test_a_reference_is_good_for_whichever_architecture_and_type(image_type, upload, architecture):
    request = a_request(image_type, upload, image={"architecture": architecture})
    assert built(request, bootc=(BootcImage("guest-image", REFERENCE),))["bootc"] == {"reference": REFERENCE}


def test_an_iso_s_payload_is_sent():
    sent = built(a_request(*ISO, payload=PAYLOAD), bootc=LISTED)
    assert sent["bootc"] == {"reference": REFERENCE, "iso_payload_reference": PAYLOAD}


def test_an_iso_needs_no_payload():
    assert built(a_request(*ISO), bootc=LISTED)["bootc"] == {"reference": REFERENCE}


@pytest.mark.parametrize(
    ("image_type", "upload"), [("guest-image", "aws.s3"), ("image-installer", "aws.s3"), ("aws", "aws")]
)
@pytest.mark.parametrize("payload", [PAYLOAD, "unlisted", ""])
def test_only_an_iso_takes_a_payload(image_type, upload, payload):
    text = "iso_payload_reference must not be set for non-ISO bootc image types"
    assert refusal(a_request(image_type, upload, payload=payload), bootc=LISTED) == text


@pytest.mark.parametrize("payload", ["unlisted", "", PAYLOAD + " "])
def test_a_payload_that_is_not_listed_for_the_reference_is_refused(payload):
    assert "iso_payload_reference" in refusal(a_request(*ISO, payload=payload), bootc=LISTED)


def test_an_image_type_has_to_fit_the_target_for_bootc_too():
    assert refusal(a_request("aws", "gcp"), bootc=LISTED) == "Invalid image type for upload target"


def test_size_limits_hold_for_bootc_too():
    text = "Total AWS image size cannot exceed 68719476736 bytes"
    assert refusal(a_request("aws", "aws", image={"size": 64 * 1024**3 + 1}), bootc=LISTED) == text


def test_customizations_are_mapped_like_any_other_s():
    ours = {
        "users": [{"name": "u", "password": "secret"}],
        "files": [{"path": "/etc/x", "data": "eA==", "data_encoding": "base64"}],
        "packages": [],
        "openscap": {"profile_id": "p"},
    }
    assert built(a_request(customizations=ours), bootc=LISTED)["customizations"] == customized(ours)


@pytest.mark.parametrize(("entitled", "found"), [(True, 1), (False, 0)])
def test_a_reference_is_listed_by_what_the_caller_is_entitled_to(entitled, found):
    catalogue = a_catalogue(**{"rhel-9.8": REFERENCE, "centos-9": "another"})
    assert len(catalogue.find_bootc_images(REFERENCE, entitled=entitled)) == found


def test_a_reference_is_taken_whole():
    catalogue = a_catalogue(**{"centos-9": REFERENCE})
    assert catalogue.find_bootc_images(REFERENCE.removesuffix(":latest"), entitled=True) == ()


INSTALLED = sorted(
    {
        (image.reference, image.type, architecture.name)
        for distribution in real_distributions().values()
        for architecture in distribution.architectures.values()
        for image in architecture.bootc
    }
)


def test_there_are_bootc_images_installed():
    assert INSTALLED


@pytest.mark.parametrize(("reference", "image_type", "architecture"), INSTALLED)
def test_every_installed_bootc_image_builds(reference, image_type, architecture):
    targets = {"aws": "aws", "ami": "aws", "azure": "azure", "vhd": "azure", "gcp": "gcp", "oci": "oci.objectstorage"}
    request = compose_request(
        image_type,
        targets.get(image_type, "aws.s3"),
        distribution=None,
        bootc={"reference": reference},
        image={"architecture": architecture},
    )
    listed = Catalogue(real_distributions()).find_bootc_images(reference, entitled=True)
    assert built(request, bootc=listed)["bootc"] == {"reference": reference}
