"""Upload targets: which takes which image type, and what the composer is told."""

import pytest

from domain.compose.lookups import Answers
from tests.support.builders import compose_request
from tests.support.domain_builders import FITTING, built, refusal, schemas

EVERY_PAIR = [
    (upload, image_type)
    for upload in schemas()["UploadTypes"]["enum"]
    for image_type in schemas()["ImageTypes"]["enum"]
]
AZURE = {"tenant_id": "t", "subscription_id": "s", "resource_group": "g"}


def options(image_type, upload, given):
    return built(compose_request(image_type, upload, image={"options": given}))["image_request"]["upload_options"]


def refused(image_type, upload, given):
    return refusal(compose_request(image_type, upload, image={"options": given}))


def azure(**given):
    fields = {**AZURE, **given}
    return {name: value for name, value in fields.items() if value is not None}


def test_the_contract_has_every_pair_the_table_has():
    assert set(FITTING) <= set(EVERY_PAIR)


@pytest.mark.parametrize(("pair", "theirs"), FITTING.items(), ids=map("-".join, FITTING))
def test_an_image_type_goes_by_the_composer_s_name(pair, theirs):
    upload, image_type = pair
    assert built(compose_request(image_type, upload))["image_request"]["image_type"] == theirs


@pytest.mark.parametrize(("upload", "image_type"), [pair for pair in EVERY_PAIR if pair not in FITTING])
def test_every_other_pair_is_refused(upload, image_type):
    assert refusal(compose_request(image_type, upload)) == "Invalid image type for upload target"


@pytest.mark.parametrize(
    ("image_type", "upload", "given", "sent"),
    [
        (
            "aws",
            "aws",
            {"share_with_accounts": ["123456789012", "210987654321"]},
            {"region": "us-east-1", "share_with_accounts": ["123456789012", "210987654321"]},
        ),
        (
            "ami",
            "aws",
            {"share_with_accounts": ["123456789012"], "share_with_sources": []},
            {"region": "us-east-1", "share_with_accounts": ["123456789012"]},
        ),
        ("guest-image", "aws.s3", {}, {"region": "us-east-1"}),
        ("guest-image", "aws.s3", {"region": "eu-west-1", "public": True}, {"region": "us-east-1"}),
        ("gcp", "gcp", {}, {"region": "us-east1", "bucket": "bucket"}),
        (
            "gcp",
            "gcp",
            {"share_with_accounts": ["user:a@example.com", "allAuthenticatedUsers"]},
            {
                "region": "us-east1",
                "bucket": "bucket",
                "share_with_accounts": ["user:a@example.com", "allAuthenticatedUsers"],
            },
        ),
        ("gcp", "gcp", {"share_with_accounts": []}, {"region": "us-east1", "bucket": "bucket"}),
        ("azure", "azure", azure(), AZURE),
        ("vhd", "azure", azure(image_name="mine"), {**AZURE, "image_name": "mine"}),
        ("azure", "azure", azure(hyper_v_generation="V1"), {**AZURE, "hyper_v_generation": "V1"}),
        ("azure", "azure", azure(hyper_v_generation="V2"), {**AZURE, "hyper_v_generation": "V2"}),
        ("azure", "azure", azure(source_id="1", location="x"), AZURE),
        ("oci", "oci.objectstorage", {}, {}),
        ("oci", "oci.objectstorage", {"anything": [1]}, {}),
    ],
)
def test_a_target_s_options_are_sent(image_type, upload, given, sent):
    assert options(image_type, upload, given) == sent


@pytest.mark.parametrize(
    ("image_type", "upload", "given"),
    [
        ("guest-image", "aws.s3", {"share_with_sources": ["1"]}),
        ("gcp", "gcp", {"share_with_sources": ["1"]}),
        ("azure", "azure", {**AZURE, "share_with_sources": ["1"]}),
        ("oci", "oci.objectstorage", {"share_with_sources": ["1"]}),
        ("oci", "oci.objectstorage", {"tenant_id": 5, "share_with_accounts": 5}),
    ],
)
def test_options_of_another_type_are_not_read(image_type, upload, given):
    own = {name: value for name, value in given.items() if upload == "azure" and name in AZURE}
    assert options(image_type, upload, given) == options(image_type, upload, own)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"share_with_accounts": []},
        {"share_with_sources": []},
        {"share_with_accounts": [], "share_with_sources": []},
    ],
)
def test_aws_wants_somebody_to_share_with(given):
    assert refused("aws", "aws", given) == "Expected at least one source or account to share the image with"


@pytest.mark.parametrize(
    "given",
    [
        azure(tenant_id=None),
        azure(subscription_id=None),
        azure(tenant_id=""),
        azure(subscription_id=""),
        azure(tenant_id=None, subscription_id=None),
        {"source_id": "1", "resource_group": "g"},
        {},
    ],
)
def test_azure_wants_tenant_and_subscription(given):
    assert refused("azure", "azure", given) == "Request must contain tenant and subscription ids."


def test_azure_wants_a_resource_group():
    assert "resource_group" in refused("azure", "azure", azure(resource_group=None))


@pytest.mark.parametrize("name", ["a", "Z", "0", "ab", "a_", "a.b-c_d", "a" * 60, "0" + "-" * 58 + "_"])
def test_an_azure_image_name_that_fits_the_pattern_is_sent(name):
    assert options("azure", "azure", azure(image_name=name))["image_name"] == name


@pytest.mark.parametrize(
    "name", ["", "_", "-a", ".a", "_a", "a.", "a-", "a b", "a/b", "é", "aé", "a" * 61, "a\n", "ab\n", "a\nb"]
)
def test_an_azure_image_name_that_does_not_fit_is_refused(name):
    assert "image_name" in refused("azure", "azure", azure(image_name=name))


@pytest.mark.parametrize("generation", ["V3", "v1", "", "V1 ", "1"])
def test_an_unknown_hyper_v_generation_is_refused(generation):
    assert "hyper_v_generation" in refused("azure", "azure", azure(hyper_v_generation=generation))


@pytest.mark.parametrize("wrong", [5, 1.5, True, None, "123456789012", {"a": 1}, [5], ["a", None], [["a"]]])
@pytest.mark.parametrize(("image_type", "upload"), [("aws", "aws"), ("gcp", "gcp")])
def test_accounts_that_are_no_list_of_text_are_refused(image_type, upload, wrong):
    assert "share_with_accounts" in refused(image_type, upload, {"share_with_accounts": wrong})


@pytest.mark.parametrize("wrong", [5, True, "x", {"a": 1}, [5], ["a", None]])
def test_sources_of_the_wrong_type_are_refused(wrong):
    given = {"share_with_accounts": ["123456789012"], "share_with_sources": wrong}
    assert "share_with_sources" in refused("aws", "aws", given)


@pytest.mark.parametrize("wrong", [5, 1.5, True, {"a": 1}, ["a"]])
@pytest.mark.parametrize("name", [*AZURE, "image_name", "hyper_v_generation"])
def test_an_azure_option_that_is_no_text_is_refused(name, wrong):
    assert name in refused("azure", "azure", {**AZURE, name: wrong})


@pytest.mark.parametrize("wrong", [5, "x", [], None, True])
@pytest.mark.parametrize("upload", ["aws", "aws.s3", "gcp", "azure", "oci.objectstorage"])
def test_options_that_are_no_object_are_refused(upload, wrong):
    image_type = next(image_type for target, image_type in FITTING if target == upload)
    assert refused(image_type, upload, wrong)


ACCOUNT, OTHER, THIRD = "123456789012", "210987654321", "333333333333"


def shared(accounts, **given):
    request = compose_request("ami", "aws", image={"options": given})
    sent = built(request, answers=Answers(accounts=accounts))["image_request"]["upload_options"]
    assert sent.keys() == {"region", "share_with_accounts"}
    return sent["share_with_accounts"]


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"share_with_sources": ["1"]}, [OTHER]),
        ({"share_with_sources": ["1"], "share_with_accounts": []}, [OTHER]),
        ({"share_with_sources": ["2", "1"]}, [THIRD, OTHER]),
        ({"share_with_sources": ["1"], "share_with_accounts": [ACCOUNT]}, [ACCOUNT, OTHER]),
        ({"share_with_sources": ["2", "1"], "share_with_accounts": ["444444444444", ACCOUNT]}, None),
    ],
)
def test_a_source_s_account_comes_after_the_given_ones(given, sent):
    expected = ["444444444444", ACCOUNT, THIRD, OTHER] if sent is None else sent
    assert shared({"1": OTHER, "2": THIRD}, **given) == expected


@pytest.mark.parametrize(
    "given",
    [
        {"share_with_sources": ["1"], "share_with_accounts": [OTHER, ACCOUNT]},
        {"share_with_sources": ["1", "3"], "share_with_accounts": [OTHER, ACCOUNT]},
    ],
)
def test_an_account_is_shared_with_once(given):
    assert shared({"1": OTHER, "3": OTHER}, **given) == [OTHER, ACCOUNT]


@pytest.mark.parametrize("accounts", [{}, {"1": OTHER, "../../x": None}, {"1": OTHER}])
def test_a_source_that_does_not_resolve_is_refused_by_its_name(accounts):
    options = {"share_with_sources": ["1", "../../x"] if accounts else ["../../x"], "share_with_accounts": [ACCOUNT]}
    request = compose_request("aws", "aws", image={"options": options})
    text = "Unable to resolve source ../../x to an aws account id"
    assert refusal(request, answers=Answers(accounts=accounts)) == text
