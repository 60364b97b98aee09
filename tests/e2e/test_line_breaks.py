"""JSON bodies end with one line break: programs append `curl -w '%{http_code}'` to a body and read the last line."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from typing import Any

import pytest

from adapters.embedded.composer.process import StandInComposer
from adapters.embedded.platform.process import StandInPlatform
from tests.support import raw_http
from tests.support.blueprints import UNKNOWN, kept
from tests.support.builders import compose_request, identity
from tests.support.databases import Parameters
from tests.support.operations import OTHERS, cancellation, of_the_database, operation_ids
from tests.support.refusals import assert_is_one_line, refusal
from tests.support.service import BASE, Service
from tests.support.waiting import PATIENCE

TYPE = {"Content-Type": "application/json"}
IDENTITY = {"x-rh-identity": identity("line breaks")}
# Operations whose answers have no body.
EMPTY = {"deleteCompose", "deleteBlueprint", "fixupBlueprint"}


def test_the_json_of_every_operation_ends_with_one_line_break(
    platform_service: Service, composer: StandInComposer, platform: StandInPlatform
) -> None:
    client = platform_service.client("line breaks")
    key = kept(client, name="read", distribution="rhel-9")
    build = client.compose(compose_request())
    composer.steer(image_status={"status": "success"})
    calls = {**OTHERS, **of_the_database(build, key, "new"), "cancelCompose": cancellation(composer)}
    assert calls.keys() == operation_ids()
    for name, call in calls.items():
        answer = call(client)
        assert answer.ok, f"{name}: {answer.text}"
        if name in EMPTY:
            assert answer.content == b"", name
        else:
            assert_is_one_line(answer)


@pytest.mark.parametrize("path", ["/status", "/ready", "/openapi.json"])
def test_the_json_outside_the_contract_ends_with_one_line_break(service: Service, path: str) -> None:
    assert_is_one_line(raw_http.call(service.url, "GET", path))


def test_the_answer_to_head_says_the_length_with_the_line_break(service: Service) -> None:
    whole, head = (raw_http.call(service.url, method, "/status") for method in ("GET", "HEAD"))
    assert head.content == b""
    assert head.headers["content-length"] == str(len(whole.content))


# Method, path, headers and body; the layer that refuses it says the name.
REFUSED: dict[str, tuple[str, str, Mapping[str, str], bytes | None, int]] = {
    "edge: no such path": ("GET", "/nowhere", {}, None, 404),
    "edge: a slash in a parameter": ("GET", f"{BASE}/composes/a%2Fb", IDENTITY, None, 404),
    "edge: a page that is only read": ("POST", "/status", {}, None, 405),
    "routing: no such operation": ("GET", f"{BASE}/nowhere", IDENTITY, None, 404),
    "routing: method": ("PATCH", f"{BASE}/composes", IDENTITY, None, 405),
    "identity: none": ("GET", f"{BASE}/composes", {}, None, 401),
    "identity: an associate": (
        "GET",
        f"{BASE}/composes",
        {"x-rh-identity": identity("line breaks", type="Associate")},
        None,
        403,
    ),
    "validation: parameter": ("GET", f"{BASE}/composes?limit=0", IDENTITY, None, 400),
    "validation: media type": ("POST", f"{BASE}/compose", IDENTITY, b"{}", 415),
    "validation: not JSON": ("POST", f"{BASE}/compose", {**IDENTITY, **TYPE}, b"{", 400),
    "validation: schema": ("POST", f"{BASE}/compose", {**IDENTITY, **TYPE}, b"{}", 400),
    "validation: size": ("POST", f"{BASE}/compose", {**IDENTITY, **TYPE}, b" " * (5 * 2**20), 413),
    "use case: not found": ("GET", f"{BASE}/composes/{UNKNOWN}", IDENTITY, None, 404),
    "headers: too many": ("GET", "/status", {f"x-{number}": "x" for number in range(2000)}, None, 431),
}


@pytest.mark.parametrize("layer", REFUSED)
def test_a_refusal_ends_with_one_line_break_whichever_layer_makes_it(service: Service, layer: str) -> None:
    method, path, headers, body, status = REFUSED[layer]
    refusal(raw_http.call(service.url, method, path, headers, body), status)


def test_several_violations_end_with_one_line_break(service: Service) -> None:
    document = {"name": " ", "image_requests": compose_request()["image_requests"], "customizations": {}}
    users = {**document, "customizations": {"users": [{"name": " "}, {"name": " "}]}}
    answer = service.client("line breaks").post("/blueprints", users)
    assert (answer.status_code, len(answer.json()["errors"])) == (422, 3)
    assert_is_one_line(answer)


@pytest.mark.parametrize("sent", [b"not HTTP at all\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"])
def test_what_is_no_http_is_refused_with_a_line_break(service: Service, sent: bytes) -> None:
    refusal(raw_http.send(service.url, sent), 400)


def test_a_rate_limit_is_told_with_a_line_break(module_database: Parameters, composer: StandInComposer) -> None:
    with Service(module_database, composer.url, environment={"RATE_LIMIT_READS": "1"}) as limited:
        client = limited.client("line breaks")
        answers = [client.get("/composes") for _ in range(10)]
        assert answers[-1].status_code == 429
        refusal(answers[-1], 429)


def test_a_back_end_that_is_away_is_told_with_a_line_break(module_database: Parameters) -> None:
    with Service(module_database, "http://127.0.0.1:1") as alone:
        client = alone.client("line breaks")
        refusal(client.get("/ready"), 500)
        refusal(client.get("/distributions/centos-9"), 503)


@pytest.mark.parametrize(("path", "status"), [("/composes", 200), (f"/composes/{UNKNOWN}", 404)])
def test_a_script_reads_the_status_from_the_last_line_that_curl_prints(
    service: Service, path: str, status: int
) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")
    said = f"x-rh-identity: {IDENTITY['x-rh-identity']}"
    command = [curl, "--silent", "--noproxy", "*", "--write-out", "%{http_code}", "--header", said]
    run = subprocess.run(
        [*command, service.url + BASE + path], capture_output=True, text=True, check=True, timeout=PATIENCE
    )
    document, last = run.stdout.split("\n")
    parsed: dict[str, Any] = json.loads(document)
    assert (last, "data" in parsed or "errors" in parsed) == (str(status), True)
