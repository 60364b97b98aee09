"""The stand-ins of content sources, provisioning, compliance and recommendations, over a socket."""

from __future__ import annotations

import base64
import json
import time
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests

from adapters.embedded.platform import sample_data
from adapters.embedded.platform.process import StandInPlatform
from adapters.files.distributions import load_distributions
from tests.support.waiting import PATIENCE, SOON, until

IDENTITY = base64.b64encode(json.dumps({"identity": {"org_id": "4711"}}).encode()).decode()
DISTRIBUTIONS = Path(__file__).parents[2] / "distributions"


class Client:
    def __init__(self, platform: StandInPlatform) -> None:
        self.platform = platform
        self.session = requests.Session()
        self.session.trust_env = False

    def __call__(self, back_end: str, method: str, path: str, **options: Any) -> requests.Response:
        url = getattr(self.platform, f"{back_end}_url") + path
        headers = {"x-rh-identity": IDENTITY} | options.pop("headers", {})
        return self.session.request(method, url, **{"timeout": SOON, "headers": headers, **options})

    def repositories(self, **query: Any) -> list[dict[str, Any]]:
        answer = self("content_sources", "GET", "/repositories/", params=query)
        assert answer.status_code == 200
        return answer.json()["data"]

    def snapshots(self, date: str, *uuids: str) -> list[dict[str, Any]]:
        body = {"date": date, "repository_uuids": uuids}
        return self("content_sources", "POST", "/snapshots/for_date/", json=body).json()["data"]

    def policy(self, method: str, path: str, **options: Any) -> requests.Response:
        return self("compliance", method, f"/policies/{path}", **options)


@pytest.fixture(scope="module")
def process() -> Iterator[StandInPlatform]:
    with StandInPlatform() as running:
        yield running


@pytest.fixture
def platform(process: StandInPlatform) -> StandInPlatform:
    process.reset()
    return process


@pytest.fixture
def call(platform: StandInPlatform) -> Iterator[Client]:
    client = Client(platform)
    yield client
    client.session.close()


def test_every_red_hat_repository_of_the_distributions_exists(call: Client) -> None:
    distributions = load_distributions(DISTRIBUTIONS).values()
    architectures = [a for d in distributions for a in d.architectures.values()]
    urls = {r.baseurl for a in architectures for r in a.repositories if r.rhsm and r.baseurl}
    found = call.repositories(url=",".join(urls), origin="red_hat", limit=500)
    assert {r["url"] for r in found} == {f"{url}/" for url in urls}
    assert {r["uuid"] for r in found} == {sample_data.red_hat(url) for url in urls}
    assert all(r["snapshot"] and r["gpg_key"].startswith("-----BEGIN PGP") for r in found)
    assert all("first_snapshot" not in r and "detected_os_version" not in r for r in found)


@pytest.mark.parametrize(
    ("url", "label"),
    [
        ("dist/rhel9/9/x86_64/baseos/os", "rhel-9-for-x86_64-baseos-rpms"),
        ("dist/rhel9/9/x86_64/supplementary/os", "rhel-9-for-x86_64-supplementary-rpms"),
        ("beta/rhel10/10/aarch64/appstream/os", "rhel-10-for-aarch64-appstream-beta-rpms"),
        ("dist/layered/rhel8/x86_64/ansible/2/os", "ansible-2-for-rhel-8-x86_64-rpms"),
    ],
)
def test_labels_are_computed_from_the_url(call: Client, url: str, label: str) -> None:
    assert call.repositories(url=f"https://cdn.redhat.com/content/{url}")[0]["label"] == label


def test_repositories_are_found_by_url_uuid_and_origin(call: Client) -> None:
    both = f"{sample_data.EXTERNAL_URL.rstrip('/')},{sample_data.COMMUNITY_URL}"
    assert {r["uuid"] for r in call.repositories(url=both)} == {sample_data.EXTERNAL, sample_data.COMMUNITY}
    assert [r["uuid"] for r in call.repositories(url=both, uuid=sample_data.EXTERNAL)] == [sample_data.EXTERNAL]
    assert [r["uuid"] for r in call.repositories(url=both, origin="community,upload")] == [sample_data.COMMUNITY]
    assert call.repositories(uuid=str(uuid4())) == []
    assert len(call.repositories(origin="external,upload,community")) == 7


def test_a_list_is_answered_in_pages(call: Client) -> None:
    call.platform.steer(repositories=[{"url": f"https://example.com/{number}/"} for number in range(130)])
    first = call("content_sources", "GET", "/repositories/", params={"origin": "external"}).json()
    assert (len(first["data"]), first["meta"]) == (100, {"count": 133, "limit": 100, "offset": 0})
    assert "offset=100" in first["links"]["next"]
    rest = call("content_sources", "GET", "/repositories/?origin=external&offset=100&limit=50").json()
    assert len(rest["data"]) == 33
    assert "next" not in rest["links"]
    assert not {r["uuid"] for r in first["data"]} & {r["uuid"] for r in rest["data"]}


def test_the_repositories_of_the_sample_data_exist(call: Client) -> None:
    uuids = [
        sample_data.EXTERNAL,
        sample_data.EXTERNAL_UNSIGNED,
        sample_data.UPLOAD,
        sample_data.WITHOUT_SNAPSHOTS,
        *sample_data.COMMUNITIES.values(),
    ]
    found = {r["uuid"]: r for r in call.repositories(uuid=",".join(uuids))}
    assert set(found) == set(uuids)
    assert (found[sample_data.UPLOAD]["url"], found[sample_data.UPLOAD]["origin"]) == ("", "upload")
    assert found[sample_data.EXTERNAL_UNSIGNED]["gpg_key"] == ""
    assert found[sample_data.WITHOUT_SNAPSHOTS]["snapshot"] is False
    assert "latest_snapshot_url" not in found[sample_data.WITHOUT_SNAPSHOTS]
    latest = f"{call.platform.url}/snapshots/4711/{sample_data.UPLOAD}/latest/"
    assert found[sample_data.UPLOAD]["latest_snapshot_url"] == latest


def test_snapshots_for_a_date_are_answered(call: Client) -> None:
    nowhere = str(uuid4())
    uuids = (sample_data.RHEL9_BASEOS, sample_data.RHEL9_APPSTREAM, sample_data.WITHOUT_SNAPSHOTS, nowhere)
    baseos, appstream, *without = call.snapshots("2024-05-06T01:00:00+02:00", *uuids)
    assert (baseos["repository_uuid"], baseos["is_after"]) == (sample_data.RHEL9_BASEOS, False)
    path = f"4711/{sample_data.RHEL9_BASEOS}/2024-05-05"
    match = baseos["match"]
    assert (match["repository_path"], match["url"]) == (path, f"{call.platform.url}/snapshots/{path}/")
    assert (match["detected_os_version"], appstream["match"]["detected_os_version"]) == ("9.8", "")
    assert [(one["repository_uuid"], one["match"]) for one in without] == [(uuids[2], None), (nowhere, None)]


def test_dates_before_the_first_snapshot_and_in_the_future_have_a_snapshot(call: Client) -> None:
    early, late = (
        call.snapshots(date, sample_data.EXTERNAL)[0] for date in ("2001-01-01T00:00:00Z", "2999-01-01T00:00:00Z")
    )
    assert (early["is_after"], early["match"]["created_at"]) == (True, sample_data.FIRST_SNAPSHOT)
    assert (late["is_after"], late["match"]["created_at"] < "2999") == (False, True)
    call.platform.steer(repositories=[{"uuid": sample_data.EXTERNAL, "first_snapshot": None}])
    assert call.snapshots("2024-01-01T00:00:00Z", sample_data.EXTERNAL)[0]["match"] is None
    assert call.repositories(uuid=sample_data.EXTERNAL)[0]["snapshot"] is True


@pytest.mark.parametrize("body", [{}, {"date": "2024-01-01"}, {"date": "2024-13-01T00:00:00Z"}, {"date": 1}])
def test_an_invalid_date_is_refused(call: Client, body: dict[str, Any]) -> None:
    answer = call("content_sources", "POST", "/snapshots/for_date/", json={"repository_uuids": [], **body})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["status"] == 400


def test_the_template_of_the_sample_data_exists(call: Client) -> None:
    template = call("content_sources", "GET", f"/templates/{sample_data.TEMPLATE}").json()
    uuids = [sample_data.RHEL9_BASEOS, sample_data.RHEL9_APPSTREAM, sample_data.EXTERNAL]
    assert (template["name"], template["repository_uuids"]) == (sample_data.TEMPLATE_NAME, uuids)
    assert [s["repository_uuid"] for s in template["snapshots"]] == uuids
    assert template["snapshots"][0]["repository_path"] == f"4711/{sample_data.RHEL9_BASEOS}/2025-06-01"
    for unknown in (uuid4(), "x"):
        assert call("content_sources", "GET", f"/templates/{unknown}").status_code == 404
    other = str(uuid4())
    call.platform.steer(templates=[{"uuid": other, "name": "empty", "repository_uuids": []}])
    assert call("content_sources", "GET", f"/templates/{other}").json()["snapshots"] == []


def test_repositories_are_exported(call: Client) -> None:
    body = {"repository_uuids": [sample_data.EXTERNAL]}
    answer = call("content_sources", "POST", "/repositories/bulk_export/", json=body)
    assert answer.status_code == 201
    assert [(one["name"], one["url"], one["origin"]) for one in answer.json()] == [
        ("tools", sample_data.EXTERNAL_URL, "external")
    ]
    body["repository_uuids"].append(str(uuid4()))
    assert call("content_sources", "POST", "/repositories/bulk_export/", json=body).status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/repositories"),
        ("POST", "/snapshots/for_date"),
        ("POST", "/repositories/bulk_export"),
        ("GET", f"/templates/{sample_data.TEMPLATE}/"),
    ],
)
def test_paths_require_the_slashes_of_the_back_end(call: Client, method: str, path: str) -> None:
    assert call("content_sources", method, path, json={}).status_code == 404
    assert call.platform.counters() == {"content_sources no such route": 1}


def test_ids_that_are_not_uuids_are_refused(call: Client) -> None:
    assert call("content_sources", "GET", "/repositories/?uuid=x").status_code == 400


def test_the_sources_of_the_sample_data_have_their_accounts(call: Client) -> None:
    for source, account in sample_data.AWS_ACCOUNTS.items():
        found = call("provisioning", "GET", f"/sources/{source}/upload_info").json()
        assert (found["provider"], found["aws"]["account_id"]) == ("aws", account)
    assert call("provisioning", "GET", f"/sources/{sample_data.AZURE_SOURCE}/upload_info").json()["aws"] is None
    assert call("provisioning", "GET", "/sources/99/upload_info").status_code == 404
    assert call("provisioning", "GET", "/sources/x/upload_info").status_code == 400
    call.platform.steer(sources={"99": {"aws": {"account_id": "000000000001"}}, "1": None})
    assert call("provisioning", "GET", "/sources/99/upload_info").json()["aws"]["account_id"] == "000000000001"
    assert call("provisioning", "GET", "/sources/1/upload_info").status_code == 404


def test_the_policies_of_the_sample_data_exist(call: Client) -> None:
    for policy_id, profile, major in (
        (sample_data.POLICY_RHEL9, sample_data.PROFILE_RHEL9, 9),
        (sample_data.POLICY_RHEL10, sample_data.PROFILE_RHEL10, 10),
        (sample_data.POLICY_EMPTY, sample_data.PROFILE_RHEL9, 9),
    ):
        data = call.policy("GET", policy_id).json()["data"]
        assert (data["id"], data["ref_id"], data["os_major_version"]) == (policy_id, profile, major)
    assert call.policy("GET", str(uuid4())).status_code == 404


def test_the_files_of_a_tailoring_are_answered(call: Client) -> None:
    tailoring = call.policy("GET", f"{sample_data.POLICY_RHEL9}/tailorings/6/tailoring_file.json")
    assert tailoring.json()["profiles"][0]["id"] == sample_data.PROFILE_RHEL9
    blueprint = tomllib.loads(call.policy("GET", f"{sample_data.POLICY_RHEL9}/tailorings/6/tailoring_file.toml").text)
    assert tuple(package["name"] for package in blueprint["packages"]) == sample_data.POLICY_PACKAGES
    for kind in ("json", "toml"):
        empty = call.policy("GET", f"{sample_data.POLICY_EMPTY}/tailorings/6/tailoring_file.{kind}")
        assert (empty.status_code, empty.content) == (204, b"")


def test_a_tailoring_is_created_once(call: Client) -> None:
    tailorings = f"{sample_data.POLICY_RHEL10}/tailorings"
    wanted = {"filter": "os_minor_version=0"}
    assert call.policy("GET", tailorings, params=wanted).json()["data"] == []
    for kind in ("json", "toml"):
        assert call.policy("GET", f"{tailorings}/0/tailoring_file.{kind}").status_code == 404
    made = call.policy("POST", tailorings, json={"os_minor_version": 0})
    assert (made.status_code, made.json()["data"]["os_minor_version"]) == (201, 0)
    assert call.policy("POST", tailorings, json={"os_minor_version": 0}).status_code == 406
    assert call.policy("POST", tailorings, json={"os_minor_version": "1"}).status_code == 422
    assert [one["os_minor_version"] for one in call.policy("GET", tailorings, params=wanted).json()["data"]] == [0]
    assert call.policy("GET", f"{tailorings}/0/tailoring_file.toml").status_code == 200
    call.platform.reset()
    assert call.policy("GET", f"{tailorings}/0/tailoring_file.toml").status_code == 404


def test_policies_can_be_added(call: Client) -> None:
    policy = {"id": str(uuid4()), "ref_id": "profile", "os_major_version": 8, "minors": [10], "toml": "fips = true"}
    call.platform.steer(policies=[policy])
    assert call.policy("GET", policy["id"]).json()["data"]["os_major_version"] == 8
    assert call.policy("GET", f"{policy['id']}/tailorings/10/tailoring_file.toml").text == "fips = true"
    assert call.policy("GET", f"{policy['id']}/tailorings/10/tailoring_file.json").status_code == 204


def test_origins_are_hidden_if_the_behaviour_says_so(call: Client) -> None:
    (shown,) = call.repositories(uuid=sample_data.EXTERNAL, origin="external")
    call.platform.steer(hide_origin=True)
    (hidden,) = call.repositories(uuid=sample_data.EXTERNAL, origin="external")
    assert shown == {**hidden, "origin": "external"}
    assert call.repositories(uuid=sample_data.EXTERNAL, origin="red_hat") == []


def test_related_packages_are_recommended(call: Client) -> None:
    body = {"packages": ["nginx"], "recommendedPackages": 2, "distribution": "rhel9"}
    answer = call("recommendations", "POST", "/packages/recommendations", json=body)
    assert answer.json() == {"packages": ["httpd", "mod_ssl"], "modelVersion": "stand-in-1"}
    call.platform.steer(require_token=True)
    assert call("recommendations", "POST", "/packages/recommendations", json=body).status_code == 401
    form = {"grant_type": "client_credentials", "client_id": "us", "client_secret": "secret"}
    token = call.session.post(call.platform.token_url, data=form, timeout=PATIENCE).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    assert call("recommendations", "POST", "/packages/recommendations", json=body, headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("back_end", "path", "status", "key"),
    [
        ("content_sources", "/repositories/", 401, "errors"),
        ("provisioning", "/sources/1/upload_info", 400, "error"),
        ("compliance", f"/policies/{sample_data.POLICY_RHEL9}", 401, "errors"),
    ],
)
def test_without_identity_a_call_is_refused(call: Client, back_end: str, path: str, status: int, key: str) -> None:
    answer = call(back_end, "GET", path, headers={"x-rh-identity": None})
    assert (answer.status_code, key in answer.json()) == (status, True)


def test_faults_apply_to_one_back_end(call: Client) -> None:
    raw = {"status": 429, "body": "<p>no</p>", "content_type": "text/html", "headers": {"Retry-After": "7"}}
    call.platform.steer(content_sources={"raw": raw}, provisioning={"status": 500})
    answer = call("content_sources", "GET", "/repositories/")
    assert (answer.status_code, answer.text, answer.headers["Retry-After"]) == (429, "<p>no</p>", "7")
    assert answer.headers["Content-Type"] == "text/html"
    assert call("provisioning", "GET", "/sources/1/upload_info").status_code == 500
    assert call.policy("GET", sample_data.POLICY_RHEL9).status_code == 200
    call.platform.steer(content_sources={"raw": None}, provisioning=None)
    assert call("content_sources", "GET", "/repositories/").status_code == 200
    assert call("provisioning", "GET", "/sources/1/upload_info").status_code == 200


def test_faults_can_be_limited_to_operations_and_to_a_number_of_calls(call: Client) -> None:
    call.platform.steer(compliance={"status": 503, "only": ["GET /policies/{id}/tailorings"], "times": 2})
    assert call.policy("GET", sample_data.POLICY_RHEL9).status_code == 200
    statuses = [call.policy("GET", f"{sample_data.POLICY_RHEL9}/tailorings").status_code for _ in range(3)]
    assert statuses == [503, 503, 200]


@pytest.mark.parametrize(("moment", "made"), [("before", False), ("after", True)])
def test_a_connection_can_be_dropped(call: Client, moment: str, made: bool) -> None:
    call.platform.steer(compliance={"drop": moment, "times": 1})
    with pytest.raises(requests.ConnectionError):
        call.policy("POST", f"{sample_data.POLICY_RHEL10}/tailorings", json={"os_minor_version": 0})
    found = call.policy("GET", f"{sample_data.POLICY_RHEL10}/tailorings?filter=os_minor_version=0").json()["data"]
    assert bool(found) is made


def test_calls_can_be_slow_or_hang(call: Client) -> None:
    call.platform.steer(provisioning={"latency": 0.2}, content_sources={"hang": True})
    started = time.monotonic()
    call("provisioning", "GET", "/sources/1/upload_info")
    assert time.monotonic() - started >= 0.2
    with ThreadPoolExecutor(1) as thread:
        hanging = thread.submit(call.repositories)
        time.sleep(0.1)
        assert not hanging.done()
        call.platform.steer(content_sources={"hang": False})
        assert hanging.result()


def test_calls_are_counted_and_recorded(call: Client) -> None:
    headers = {"X-Strc-Trace-ID": "trace", "x-rh-insights-request-id": "request"}
    call("content_sources", "GET", "/repositories/?origin=upload", headers=headers)
    call("provisioning", "GET", "/sources/..%2Fx/upload_info", headers={"x-rh-identity": None})
    behaviour = call.platform.behaviour()
    assert behaviour["counters"] == {"content_sources GET /repositories/": 1, "provisioning no such route": 1}
    first, second = behaviour["recent"]
    assert {name: value for name, value in first.items() if name not in {"began", "ended"}} == {
        "back_end": "content_sources",
        "method": "GET",
        "path": "/api/content-sources/v1/repositories/",
        "query": "origin=upload",
        "identity": True,
        "request_id": "request",
        "trace_id": "trace",
        "body": None,
    }
    assert (second["path"], second["identity"]) == ("/api/provisioning/v1/sources/..%2Fx/upload_info", False)


def test_calls_are_recorded_with_their_duration(call: Client) -> None:
    call.platform.steer(provisioning={"latency": 0.1}, content_sources={"hang": True})
    before = time.monotonic()
    call("provisioning", "GET", "/sources/1/upload_info")
    with ThreadPoolExecutor(1) as thread:
        thread.submit(call.repositories)
        until(lambda: len(call.platform.behaviour()["recent"]) == 2, "the call that hangs is recorded")
        slow, hanging = call.platform.behaviour()["recent"]
        call.platform.steer(content_sources={"hang": False})
    assert before <= slow["began"] <= slow["ended"] - 0.09
    assert slow["ended"] <= hanging["began"] <= time.monotonic()
    assert hanging["ended"] is None
    assert call.platform.behaviour()["recent"][1]["ended"] > hanging["began"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"unheard_of": 1},
        {"compliance": {"latencies": 1}},
        {"repositories": [{"name": "x"}]},
        {"templates": [{"uuid": "x"}]},
        {"sources": {"x": {}}},
    ],
)
def test_an_unknown_behaviour_is_refused(platform: StandInPlatform, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        platform.steer(**wrong)


def test_added_documents_survive_a_restart(tmp_path: Path) -> None:
    state = tmp_path / "below" / "platform.json"
    for steer in (True, False):
        with StandInPlatform(state) as running:
            if steer:
                running.steer(repositories=[{"url": "https://example.com/kept"}], sources={"1": None})
            client = Client(running)
            assert client.repositories(url="https://example.com/kept/")[0]["origin"] == "external"
            assert client("provisioning", "GET", "/sources/1/upload_info").status_code == 404
            client.session.close()
