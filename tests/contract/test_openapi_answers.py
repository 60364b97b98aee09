"""Answers of the running service fit their schemas: of every operation, refused or not, and for rows of any age."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from adapters.embedded.composer.process import StandInComposer
from adapters.embedded.platform.known import EXTERNAL, EXTERNAL_URL
from tests.support import stand_in
from tests.support.blueprints import UNKNOWN, insert_blueprint, kept
from tests.support.builders import compose_request, image_request
from tests.support.databases import Parameters
from tests.support.old_rows import BODIES, BUILDS, REQUESTS
from tests.support.operations import OTHERS, Call, cancellation, of_the_database, operation_ids
from tests.support.rows import insert_compose
from tests.support.service import Client, Service

pytestmark = pytest.mark.usefixtures("composer")

# Every customization, and every field of each.
ALL: dict[str, Any] = {
    "containers": [{"source": "quay.io/a/b:latest", "name": "b", "tls_verify": False}],
    "directories": [{"path": "/etc/d", "mode": "0755", "user": "root", "group": 0, "ensure_parents": True}],
    "files": [
        {"path": "/etc/f", "mode": "0644", "user": 0, "group": "root", "data": "eA==", "data_encoding": "base64"},
        {"path": "/etc/g", "data": "x", "ensure_parents": True},
    ],
    "subscription": {
        "organization": 1,
        "activation-key": "key-of-the-answers",
        "server-url": "subscription.example",
        "base-url": "https://cdn.example",
        "insights": True,
        "rhc": True,
        "insights_client_proxy": "http://proxy.example",
    },
    "packages": ["vim", "@core"],
    "enabled_modules": [{"name": "nodejs", "stream": "20"}],
    "payload_repositories": [
        {"baseurl": "https://packages.example/$basearch/", "rhsm": False, "gpgkey": "key", "check_gpg": True}
    ],
    "custom_repositories": [
        {
            "id": EXTERNAL,
            "name": "Own",
            "filename": "own.repo",
            "baseurl": ["https://packages.example/"],
            "priority": 10,
        }
    ],
    "openscap": {"profile_id": "xccdf_org.ssgproject.content_profile_cis", "profile_name": "CIS"},
    "users": [{"name": "u", "groups": ["wheel"], "ssh_key": "k", "password": "password-of-the-answers"}],
    "services": {"enabled": ["a"], "disabled": [], "masked": ["c"]},
    "hostname": "here.example",
    "kernel": {"name": "kernel-rt", "append": "nosmt=force"},
    "groups": [{"name": "admins", "gid": 1500}],
    "timezone": {"timezone": "Europe/Berlin", "ntpservers": ["0.pool.example"]},
    "locale": {"languages": ["de_DE.UTF-8"], "keyboard": "de"},
    "firewall": {"ports": ["22:tcp"], "services": {"enabled": ["ssh"], "disabled": ["telnet"]}},
    "installation_device": "/dev/sda",
    "fdo": {"manufacturing_server_url": "https://fdo.example", "diun_pub_key_insecure": "true"},
    "ignition": {"embedded": {"config": "e30="}, "firstboot": {"url": "https://ignition.example"}},
    "partitioning_mode": "auto-lvm",
    "fips": {"enabled": True},
    "installer": {"unattended": True, "sudo-nopasswd": ["%wheel"]},
    "cacerts": {"pem_certs": ["-----BEGIN CERTIFICATE-----"]},
    "aap_registration": {"ansible_callback_url": "https://aap.example/", "host_config_key": "key-of-the-host"},
}
DISK: dict[str, Any] = {
    "type": "gpt",
    "minsize": "10 GiB",
    "partitions": [
        {"type": "plain", "fs_type": "xfs", "mountpoint": "/data", "minsize": "1 GiB", "label": "d"},
        {"type": "btrfs", "minsize": "1 GiB", "subvolumes": [{"name": "s", "mountpoint": "/s"}]},
        {"type": "lvm", "name": "vg", "logical_volumes": [{"name": "l", "fs_type": "ext4", "mountpoint": "/l"}]},
    ],
}
FILESYSTEM = [{"mountpoint": "/var", "min_size": 2**40}]
IMAGE = {"size": 2**40, "ostree": {"url": "https://ostree.example", "ref": "a/b", "rhsm": False}}


class Answers:
    """Asks operations and checks each answer against what the document says of its status, headers and body."""

    def __init__(self, contract: Any, document: Mapping[str, Any], client: Client) -> None:
        self._operations = {
            operation["operationId"]: contract[path][method.upper()]
            for path, item in document["paths"].items()
            for method, operation in item.items()
            if method != "parameters"
        }
        self._client = client

    def check(self, operation: str, call: Call, status: int | None = None) -> Any:
        """The body of an answer with this status, any good one where none is given, that fits its schema."""
        answer = call(self._client)
        assert answer.ok if status is None else answer.status_code == status, f"{operation}: {answer.text}"
        self._operations[operation].validate_response(answer)
        is_json = answer.headers.get("content-type") == "application/json"
        return answer.json() if is_json else None


@pytest.fixture
def answers(service: Service, contract: Any, document: Mapping[str, Any]) -> Answers:
    return Answers(contract, document, service.client(uuid4().hex))


def test_an_answer_of_every_operation_fits_its_schema(
    service: Service, contract: Any, document: Mapping[str, Any], composer: StandInComposer
) -> None:
    client = service.client(uuid4().hex)
    key, build = kept(client, name="read", distribution="rhel-9"), client.compose(compose_request())
    composer.steer(image_status={"status": "success"})
    calls = {**OTHERS, **of_the_database(build, key, "new"), "cancelCompose": cancellation(composer)}
    assert calls.keys() == operation_ids()
    checked = Answers(contract, document, client)
    for operation, call in calls.items():
        checked.check(operation, call)


@pytest.mark.parametrize(
    "customizations", [{**ALL, "filesystem": FILESYSTEM}, {**ALL, "disk": DISK}], ids=["filesystem", "disk"]
)
def test_answers_with_every_customization_fit_their_schemas(answers: Answers, customizations: dict[str, Any]) -> None:
    told = {**customizations, "users": [{"name": "u", "groups": ["wheel"], "ssh_key": "k", "hasPassword": True}]}
    document = {"name": "all", "image_requests": [image_request(**IMAGE)], "customizations": customizations}
    key = answers.check("createBlueprint", lambda client: client.post("/blueprints", document))["id"]
    found = answers.check("getBlueprint", lambda client: client.get(f"/blueprints/{key}"))
    assert found["customizations"].keys() == told.keys()
    assert found["customizations"]["users"] == told["users"]
    exported = answers.check("exportBlueprint", lambda client: client.get(f"/blueprints/{key}/export"))
    assert [each["url"] for each in exported["content_sources"]] == [EXTERNAL_URL]


@pytest.mark.parametrize(
    ("image_type", "upload", "options"),
    [
        ("aws", "aws", {"share_with_accounts": ["123456789012"], "share_with_sources": ["1"]}),
        ("azure", "azure", {"tenant_id": "t", "subscription_id": "s", "resource_group": "g", "image_name": "i"}),
        ("gcp", "gcp", {"share_with_accounts": ["user:a@example.com"]}),
        ("guest-image", "aws.s3", {"share_with_accounts": "nobody", "tenant_id": 7, "other": [{}]}),
    ],
)
def test_upload_options_of_any_shape_fit_their_schema(
    answers: Answers, image_type: str, upload: str, options: dict[str, Any]
) -> None:
    request = compose_request(image_type, upload, image={"options": options, "size": 2**30})
    build = answers.check("composeImage", lambda client: client.post("/compose", request))["id"]
    (item,) = answers.check("getComposes", lambda client: client.get("/composes"))["data"]
    assert item["request"]["image_requests"][0]["size"] == 2**30
    assert options.items() <= item["request"]["image_requests"][0]["upload_request"]["options"].items()
    answers.check("getComposeStatus", lambda client: client.get(f"/composes/{build}"))


REFUSED: dict[tuple[str, int], Call] = {
    ("composeImage", 400): lambda client: client.post("/compose", {}),
    ("composeImage", 415): lambda client: client.request("POST", "/compose", data=b"{}"),
    ("createBlueprint", 422): lambda client: client.post(
        "/blueprints", {"name": " ", "image_requests": [image_request()], "customizations": {"users": [{"name": ""}]}}
    ),
    ("getBlueprint", 404): lambda client: client.get(f"/blueprints/{UNKNOWN}"),
    ("getComposes", 400): lambda client: client.get("/composes?limit=0"),
    ("getComposeStatus", 404): lambda client: client.get(f"/composes/{UNKNOWN}"),
    ("getDistribution", 404): lambda client: client.get("/distributions/nowhere"),
    ("getOscapProfiles", 400): lambda client: client.get("/oscap/nowhere/profiles"),
}


@pytest.mark.parametrize(("operation", "status"), REFUSED)
def test_a_refusal_fits_its_schema(answers: Answers, operation: str, status: int) -> None:
    assert answers.check(operation, REFUSED[operation, status], status)["errors"]


@pytest.mark.parametrize("status", ["running", "of-a-newer-composer"])
def test_a_status_that_no_client_knows_fits_its_schema(
    answers: Answers, composer: StandInComposer, status: str
) -> None:
    build = answers.check("composeImage", lambda client: client.post("/compose", compose_request()))["id"]
    composer.steer(
        image_status={"status": status, "upload_status": {"status": status, "type": "ftp", "options": {"path": "/x"}}}
    )
    found = answers.check("getComposeStatus", lambda client: client.get(f"/composes/{build}"))["image_status"]
    assert (found["status"], found["upload_status"]["options"]) == (status, {"path": "/x"})


@pytest.mark.parametrize("name", [*REQUESTS, *BUILDS])
def test_answers_about_an_old_build_fit_their_schemas(
    service: Service,
    contract: Any,
    document: Mapping[str, Any],
    composer: StandInComposer,
    module_database: Parameters,
    name: str,
) -> None:
    tenant, build = uuid4().hex, stand_in.Client(composer).queued()
    columns = BUILDS.get(name, {})
    insert_compose(
        module_database, tenant, REQUESTS.get(name, compose_request()), ago=timedelta(days=13), job_id=build, **columns
    )
    checked = Answers(contract, document, service.client(tenant))
    (item,) = checked.check("getComposes", lambda client: client.get("/composes"))["data"]
    assert isinstance(item["request"]["image_requests"], list)
    checked.check("getComposeStatus", lambda client: client.get(f"/composes/{build}"))


@pytest.mark.parametrize("name", BODIES)
def test_answers_about_an_old_blueprint_fit_their_schemas(
    service: Service, contract: Any, document: Mapping[str, Any], module_database: Parameters, name: str
) -> None:
    tenant = uuid4().hex
    key = insert_blueprint(module_database, tenant, "of old", BODIES[name])
    checked = Answers(contract, document, service.client(tenant))
    checked.check("getBlueprint", lambda client: client.get(f"/blueprints/{key}"))
    checked.check("exportBlueprint", lambda client: client.get(f"/blueprints/{key}/export"))
    checked.check("getBlueprints", lambda client: client.get("/blueprints"))
