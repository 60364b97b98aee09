"""Random documents, posted to the running service, never cause a server error."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from tests.support import raw_http
from tests.support.builders import compose_request, identity
from tests.support.raw_http import Answer
from tests.support.refusals import refusal
from tests.support.rounds import repeated
from tests.support.service import BASE, Service

pytestmark = pytest.mark.usefixtures("composer")

HEADERS = {"x-rh-identity": identity("at random"), "Content-Type": "application/json"}
BOUNDED = settings(
    max_examples=repeated(50, 150),
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)

VALID = compose_request(
    image_name="at random",
    image_description="a document with everything that is served",
    client_id="ui",
    image={"size": 10 * 1024**3, "ostree": {"url": "https://ostree.example.com", "ref": "a/b", "rhsm": False}},
    customizations={
        "packages": ["vim", "@core"],
        "enabled_modules": [{"name": "nodejs", "stream": "20"}],
        "containers": [{"source": "quay.io/x/y", "name": "y", "tls_verify": True}],
        "directories": [{"path": "/etc/app", "mode": "0755", "user": "root", "group": 0, "ensure_parents": True}],
        "files": [{"path": "/etc/app/x", "mode": "0644", "user": 0, "data": "YQ==", "data_encoding": "base64"}],
        "filesystem": [{"mountpoint": "/var", "min_size": 2 * 1024**3}],
        "users": [{"name": "u", "groups": ["wheel"], "ssh_key": "ssh-ed25519 AAAA", "password": "$6$salt$hash"}],
        "services": {"enabled": ["a"], "disabled": ["b"], "masked": ["c"]},
        "hostname": "web.example.com",
        "kernel": {"name": "kernel-rt", "append": "nosmt=force"},
        "groups": [{"name": "g", "gid": 1500}],
        "timezone": {"timezone": "Europe/Prague", "ntpservers": ["pool.example.com"]},
        "locale": {"languages": ["en_US.UTF-8"], "keyboard": "us"},
        "firewall": {"ports": ["8080:tcp"], "services": {"enabled": ["https"], "disabled": ["telnet"]}},
        "openscap": {"profile_id": "xccdf_org.ssgproject.content_profile_cis"},
        "fips": {"enabled": True},
        "cacerts": {"pem_certs": ["-----BEGIN CERTIFICATE-----"]},
    },
)


def _places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield path
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in entries:
        yield from _places(entry, (*path, key))


PLACES = [path for path in _places(VALID) if path]
TEXT = st.text(alphabet=st.characters(), max_size=20) | st.sampled_from(
    [
        "",
        " ",
        "\0",
        "/",
        "..",
        "$6$",
        "$y$x",
        "null",
        "\u202e",
        "%s",
        "{}",
        "0",
        "-1",
        "centos-9",
        "aws",
        "ami",
        "a" * 300,
    ]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([0, -1, 2**31, 2**63, 2**64 - 1, 2**64, 10**30, 1e308, 0.1, -0.0])
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)
DOCUMENTS = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4))
FIELDS = st.sampled_from(sorted({str(part) for path in PLACES for part in path if isinstance(part, str)}))
LIKELY = st.dictionaries(FIELDS, SCALARS | st.lists(SCALARS, max_size=3) | DOCUMENTS, max_size=6)


@st.composite
def mutations(draw: st.DrawFn) -> Any:
    """The valid document with one to three values changed, removed, repeated or added."""
    document = copy.deepcopy(VALID)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(PLACES))
        _mutate(draw, document, path)
    return document


def _mutate(draw: st.DrawFn, document: Any, path: tuple[str | int, ...]) -> None:
    try:
        for part in path[:-1]:
            document = document[part]
        value = document[path[-1]]
        how = draw(st.sampled_from(["replace", "similar", "drop", "wrap", "add", "many"]))
        if how == "drop":
            del document[path[-1]]
        elif how == "add" and isinstance(value, dict):
            value[draw(TEXT | FIELDS)] = draw(DOCUMENTS)
        elif how == "many" and isinstance(value, list):
            value.extend(copy.deepcopy(value) * draw(st.integers(1, 50)))
        elif how == "wrap":
            document[path[-1]] = [value]
        elif how == "similar" and isinstance(value, str):
            document[path[-1]] = draw(
                st.sampled_from([value.upper(), value + "\n", value * 40, f" {value}", value[:-1]])
            )
        elif how == "similar" and isinstance(value, int):
            document[path[-1]] = draw(st.sampled_from([-value, value * 10**12, float(value), str(value)]))
        else:
            document[path[-1]] = draw(SCALARS | DOCUMENTS)
    except (KeyError, IndexError, TypeError):
        return  # an earlier mutation took the place away


def post(service: Service, document: Any) -> Answer:
    return raw_http.call(service.url, "POST", f"{BASE}/compose", HEADERS, json.dumps(document).encode())


def judge(service: Service, answer: Answer) -> None:
    """The answer must be an error of the contract, or the build must be readable."""
    event(f"answered {answer.status_code}")
    if answer.status_code == 201:
        compose_id = json.loads(answer.content)["id"]
        for path in (f"/composes/{compose_id}", "/composes?limit=1"):
            assert raw_http.call(service.url, "GET", BASE + path, HEADERS).status_code == 200
        return
    refusal(answer, {400, 403, 413})


@BOUNDED
@given(document=DOCUMENTS)
def test_a_random_document_is_refused(service: Service, document: Any) -> None:
    refusal(post(service, document), 400)


@BOUNDED
@given(document=LIKELY)
def test_a_random_document_with_valid_names_causes_no_server_error(service: Service, document: Any) -> None:
    judge(service, post(service, document))


@BOUNDED
@given(document=mutations())
def test_a_mutated_valid_document_causes_no_server_error(service: Service, document: Any) -> None:
    judge(service, post(service, document))


@BOUNDED
@given(body=st.binary(max_size=200))
def test_random_bytes_are_refused(service: Service, body: bytes) -> None:
    refusal(raw_http.call(service.url, "POST", f"{BASE}/compose", HEADERS, body), 400)


@BOUNDED
@given(
    customizations=st.dictionaries(FIELDS, DOCUMENTS, max_size=5), options=st.dictionaries(TEXT, DOCUMENTS, max_size=5)
)
def test_random_options_and_customizations_cause_no_server_error(
    service: Service, customizations: dict[str, Any], options: dict[str, Any]
) -> None:
    judge(service, post(service, compose_request(image={"options": options})))
    judge(service, post(service, compose_request(customizations=customizations)))


def test_the_document_that_is_mutated_is_valid(service: Service) -> None:
    assert post(service, VALID).status_code == 201
