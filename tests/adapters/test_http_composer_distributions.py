"""The client of the composer, over HTTP: the description of a distribution."""

from urllib.parse import parse_qsl, urlsplit

import pytest
import stamina

from domain.errors import NotFoundError, UnavailableError
from tests.support.composer_adapter import HastyBackEnd, a_composer, asking
from tests.support.loopback import answer, close, garbage, refused_url, reset, truncated

BASE = "/api/image-builder-composer/v2"
HTML = answer(200, b"<html>busy</html>", "text/html")
REFERENCE = {"id": "centos-9", "kind": "DistributionDetails", "href": f"{BASE}/distributions/centos-9"}


@pytest.fixture(autouse=True)
def _attempts_without_pauses():
    with stamina.set_testing(True, attempts=100, cap=True):
        yield


def details(adapter, *, image_types=(), architectures=()):
    return adapter.distribution("centos-9", image_types, architectures)


def test_the_image_types_of_a_distribution_have_their_supported_options(real):
    image_type = details(real)["architectures"]["x86_64"]["image_types"]["guest-image"]
    assert image_type["aliases"] == ["qcow2"]
    assert "customizations.disk" in image_type["supported_blueprint_options"]


def test_the_answer_has_the_requested_distribution(real):
    found = details(real, image_types=["qcow2", "wsl"], architectures=["aarch64", "s390x"])["architectures"]
    assert {name: set(each["image_types"]) for name, each in found.items()} == {
        "aarch64": {"guest-image", "wsl"},
        "s390x": {"guest-image"},
    }


def test_each_image_type_and_architecture_is_a_separate_parameter():
    with asking(answer(200, {"name": "n"})) as (adapter, asked):
        details(adapter, image_types=["a,b", "c&d=e"], architectures=["x86_64", "é"])
    (request,) = asked
    assert (request.method, urlsplit(request.path).path) == ("GET", f"{BASE}/distributions/centos-9")
    assert parse_qsl(urlsplit(request.path).query) == [
        ("image_type", "a,b"),
        ("image_type", "c&d=e"),
        ("architecture", "x86_64"),
        ("architecture", "é"),
    ]


def test_a_request_without_filters_has_no_query():
    with asking(answer(200, {"name": "n"})) as (adapter, asked):
        details(adapter)
    assert asked[0].path == f"{BASE}/distributions/centos-9"


def test_a_name_is_encoded_as_one_path_segment():
    with asking(answer(200, {"name": "n"})) as (adapter, asked):
        adapter.distribution("../composes?x", (), ())
    assert asked[0].path == f"{BASE}/distributions/..%2Fcomposes%3Fx"


def test_the_answer_is_passed_on_unchanged_without_its_reference():
    told = {
        "name": "n",
        "of_the_future": [{"id": 1, "kind": None}],
        "architectures": {
            "z": {"name": "z", "image_types": {"t": {"default_size": 2**64 - 1, "id": "t", "href": "h", "x": None}}},
            "a": {},
        },
    }
    with asking(answer(200, {**REFERENCE, **told})) as (adapter, _):
        found = details(adapter)
    assert found == told
    assert list(found["architectures"]) == ["z", "a"]


def test_an_unknown_distribution_is_not_found(real):
    with pytest.raises(NotFoundError, match="Distribution not found"):
        real.distribution("plan9-4", (), ())


@pytest.mark.parametrize(
    "document",
    [None, [], "n", {}, {"name": 1}, {"name": None}, {"name": "n", "architectures": []}]
    + [{"name": "n", "architectures": {"x86_64": each}} for each in ([], "x86_64", 1)],
)
def test_details_of_the_wrong_shape_are_an_unusable_answer(document):
    with asking(answer(200, document)) as (adapter, _), pytest.raises(UnavailableError):
        details(adapter)


@pytest.mark.parametrize("status", [302, 400, 401, 403, 405, 429, 500, 502, 503, 504])
def test_any_other_http_status_is_an_unusable_answer(status):
    with asking(answer(status, b"{}")) as (adapter, _), pytest.raises(UnavailableError) as away:
        details(adapter)
    assert "127.0.0.1" not in away.value.detail


@pytest.mark.parametrize("step", [HTML, truncated(), garbage, close, reset])
def test_garbage_is_an_unusable_answer(step):
    with asking(step) as (adapter, _), pytest.raises(UnavailableError):
        details(adapter)


def test_a_composer_that_hangs_gives_no_answer(composer):
    composer.steer(hang=True)
    with a_composer(composer.url, HastyBackEnd) as adapter, pytest.raises(UnavailableError):
        details(adapter)


def test_a_composer_that_is_not_there_gives_no_answer():
    with a_composer(refused_url()) as adapter, pytest.raises(UnavailableError):
        details(adapter)
