"""Version, probes, the OpenAPI document, and paths outside the operations."""

from __future__ import annotations

import time
from collections.abc import Iterator
from uuid import uuid4

import pytest

from adapters.embedded.composer.process import StandInComposer
from tests.support.builders import compose_request, identity
from tests.support.databases import Parameters, away
from tests.support.refusals import REQUEST_ID, refusal
from tests.support.service import BASE, Client, Service
from tests.support.waiting import PATIENCE, comes_true

BASES = ("/api/image-builder/v1", "/api/image-builder/v1.0", "/api/v1/image-builder")
# Probes are not passed on more often than this.
ANSWER_STANDS_FOR = 2.2


@pytest.fixture
def anonymous(service: Service) -> Client:
    return Client(service.url, {})


@pytest.fixture(scope="module")
def elsewhere(module_database: Parameters, composer_process: StandInComposer) -> Iterator[Service]:
    """A service with other base paths and known build information."""
    environment = {
        "PATH_PREFIX": "other",
        "APP_NAME": "builder",
        "BUILD_COMMIT": "abc123",
        "BUILD_TIME": "2026-01-31T12:00:00Z",
    }
    with Service(module_database, composer_process.url, environment=environment) as running:
        yield running


# /version, /status


def test_the_version_is_that_of_the_contract(service: Service, anonymous: Client) -> None:
    document = anonymous.get("/openapi.json", base="").json()
    assert service.client().get("/version").json()["version"] == document["info"]["version"]


def test_the_version_includes_the_build_if_it_is_known(elsewhere: Service) -> None:
    version = elsewhere.client().get("/version", base="/other/builder/v1").json()
    assert version["build_commit"] == "abc123"
    assert version["build_time"] == "2026-01-31T12:00:00Z"


def test_the_liveness_probe_has_the_same_answer_as_the_version(service: Service, anonymous: Client) -> None:
    status = anonymous.get("/status", base="")
    assert status.status_code == 200
    assert status.json() == service.client().get("/version").json()


# /ready


def test_ready_below_a_base_checks_the_composer_too(database: Parameters, composer: StandInComposer) -> None:
    with Service(database, composer.url) as service:
        client, probe = service.client(), Client(service.url, {})
        for _ in range(20):
            answer = client.get("/ready")
            assert (answer.status_code, answer.json()) == (200, {"readiness": "ready"})
        assert composer.counters()["GET /openapi"] <= 2
        composer.steer(openapi_status=500)
        time.sleep(ANSWER_STANDS_FOR)
        refusal(client.get("/ready"), 500)
        answer = probe.get("/ready", base="")
        assert (answer.status_code, answer.json()) == (200, {"readiness": "ready"})


def test_readiness_fails_until_the_database_is_available_again(
    database: Parameters, postgres: Parameters, composer: StandInComposer
) -> None:
    with Service(database, composer.url) as service:
        client, probe = service.client(), Client(service.url, {})
        with away(database, postgres):
            # The probe repeats an outcome for two seconds.
            assert comes_true(lambda: probe.get("/ready", base="").status_code == 503)
            for answer in (probe.get("/ready", base=""), client.get("/ready")):
                refusal(answer, 503)
                assert int(answer.headers["Retry-After"]) > 0
                assert database["dbname"] not in answer.text
            assert probe.get("/status", base="").status_code == 200
        deadline = time.monotonic() + PATIENCE
        while probe.get("/ready", base="").status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert client.get("/ready").status_code == 200


def test_pods_stay_ready_without_a_composer(database: Parameters) -> None:
    with Service(database, "http://127.0.0.1:1") as service:
        assert Client(service.url, {}).get("/ready", base="").status_code == 200
        detail = refusal(service.client().get("/ready"), 500)
        assert "composer" in detail


# openapi.json


@pytest.mark.parametrize("base", ["", *BASES])
def test_the_openapi_document_needs_no_identity(anonymous: Client, base: str) -> None:
    answer = anonymous.get("/openapi.json", base=base)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    document = answer.json()
    assert document["openapi"].startswith("3.0")
    assert {server["url"] for server in document["servers"]} >= set(BASES)
    assert {"/compose", "/composes", "/composes/{composeId}", "/distributions"} <= set(document["paths"])
    schemas = document["components"]["schemas"]
    assert "guest-image" in schemas["ImageTypes"]["enum"]
    assert set(schemas["ImageRequest"]["properties"]["architecture"]["enum"]) == {"x86_64", "aarch64"}


@pytest.mark.parametrize("base", ["", *BASES])
def test_a_client_that_knows_the_openapi_document_gets_304(anonymous: Client, base: str) -> None:
    first = anonymous.get("/openapi.json", base=base)
    etag = first.headers["ETag"]
    for known in (etag, f'"other", {etag}', f"W/{etag}", "*"):
        answer = anonymous.get("/openapi.json", base=base, headers={"If-None-Match": known})
        assert (answer.status_code, answer.content, answer.headers["ETag"]) == (304, b"", etag), known
        assert "Content-Length" not in answer.headers
    for other in ('"other"', "no tag", ""):
        answer = anonymous.get("/openapi.json", base=base, headers={"If-None-Match": other})
        assert (answer.status_code, answer.content, answer.headers["ETag"]) == (200, first.content, etag), other


# The paths


@pytest.mark.parametrize("base", BASES)
def test_every_operation_is_answered_below_every_base(service: Service, composer: StandInComposer, base: str) -> None:
    client = service.client(uuid4().hex)
    created = client.post("/compose", compose_request(), base=base)
    assert created.status_code == 201
    compose = f"/composes/{created.json()['id']}"
    paths = ("/version", "/ready", "/openapi.json", "/distributions", "/architectures/centos-9", "/composes")
    for path in (*paths, compose, f"{compose}/metadata"):
        assert client.get(path, base=base).status_code == 200, path
    assert client.delete(compose, base=base).status_code == 200


def test_the_bases_follow_the_prefix_and_the_name(elsewhere: Service) -> None:
    client = elsewhere.client(uuid4().hex)
    for base in ("/other/builder/v1", "/other/builder/v1.0", "/api/v1/image-builder"):
        page = client.get("/composes?limit=5", base=base)
        assert page.status_code == 200
        assert page.json()["links"]["first"] == "/other/builder/v1.0/composes?limit=5&offset=0"
    refusal(client.get("/composes", base=BASES[0]), 404)


def test_the_served_openapi_document_names_the_configured_bases(elsewhere: Service) -> None:
    document = Client(elsewhere.url, {}).get("/openapi.json", base="").json()
    urls = {server["url"] for server in document["servers"]}
    assert {"/other/builder/v1", "/other/builder/v1.0", "/api/v1/image-builder"} <= urls


@pytest.mark.parametrize(
    "path", ["/", "/nothing", "/api/image-builder", "/api/image-builder/v2/composes", f"{BASE}", f"{BASE}/nothing"]
)
def test_an_unknown_path_is_not_found(service: Service, path: str) -> None:
    refusal(service.client().get(path, base=""), 404)


@pytest.mark.parametrize("path", [f"{BASE}/composes/", f"{BASE}//composes", f"{BASE}/version/"])
def test_a_path_with_an_additional_slash_is_not_found(service: Service, path: str) -> None:
    refusal(service.client().get(path, base="", allow_redirects=False), 404)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "POST"])
@pytest.mark.parametrize("path", [f"{BASE}/composes", f"{BASE}/version", "/status", "/ready", "/openapi.json"])
def test_the_answer_to_a_wrong_method_names_the_allowed_ones(service: Service, method: str, path: str) -> None:
    answer = service.client().request(method, path, base="", json={})
    refusal(answer, 405)
    assert "GET" in answer.headers["Allow"].replace(" ", "").split(",")


def test_the_answer_to_a_wrong_method_names_all_methods_of_the_path(service: Service) -> None:
    answer = service.client().request("PUT", f"/composes/{uuid4()}", json={})
    refusal(answer, 405)
    assert {"GET", "DELETE"} <= set(answer.headers["Allow"].replace(" ", "").split(","))


# The page about the API


@pytest.mark.parametrize("base", ["", *BASES])
def test_the_docs_page_needs_no_identity_and_loads_nothing_from_other_hosts(anonymous: Client, base: str) -> None:
    page = anonymous.get("/docs/", base=base)
    assert page.status_code == 200
    assert page.headers["Content-Type"].startswith("text/html")
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    assert "https://" not in page.text


@pytest.mark.parametrize("base", ["", *BASES])
def test_the_path_of_the_page_without_its_slash_redirects_to_the_page(anonymous: Client, base: str) -> None:
    redirect = anonymous.get("/docs", base=base, allow_redirects=False)
    assert (redirect.status_code, redirect.headers["Location"]) == (308, "docs/")
    followed = anonymous.get("/docs", base=base)
    assert (followed.status_code, followed.url.endswith(f"{base}/docs/")) == (200, True)


def test_metrics_need_no_identity(anonymous: Client) -> None:
    answer = anonymous.get("/metrics", base="")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain")


# The request id


@pytest.mark.parametrize("path", [f"{BASE}/version", f"{BASE}/nothing", "/status", "/ready", f"{BASE}/composes/x"])
def test_a_request_id_is_returned_with_every_status(service: Service, path: str) -> None:
    client = service.client()
    assert client.get(path, base="", headers={REQUEST_ID: "of-the-gateway"}).headers[REQUEST_ID] == "of-the-gateway"
    made = {client.get(path, base="").headers[REQUEST_ID] for _ in range(3)}
    assert len(made) == 3
    assert all(made)


def test_the_request_id_reaches_the_composer(service: Service, composer: StandInComposer) -> None:
    answer = service.client().post("/compose", compose_request(), headers={REQUEST_ID: "of-the-gateway"})
    assert answer.status_code == 201
    (call,) = composer.behaviour()["recent"]
    assert call["request_id"] == "of-the-gateway"
    assert call["identity"] is False


# Who asks


@pytest.mark.parametrize("path", ["/version", "/ready", "/distributions", "/composes", "/architectures/centos-9"])
def test_paths_below_a_base_require_an_identity(anonymous: Client, path: str) -> None:
    for base in BASES:
        refusal(anonymous.get(path, base=base), 401)


def test_an_associate_identity_is_403(service: Service) -> None:
    client = Client(service.url, {"x-rh-identity": identity(type="Associate")})
    refusal(client.get("/version"), 403)
    refusal(client.get("/composes"), 403)
