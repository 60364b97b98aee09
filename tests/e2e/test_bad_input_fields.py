"""Fields that violate the contract, against the running service: what the error says, and what it must not repeat."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.embedded.composer.process import StandInComposer
from tests.support.builders import compose_request, image_request
from tests.support.databases import Parameters
from tests.support.refusals import refusal
from tests.support.service import Service

pytestmark = pytest.mark.usefixtures("composer")

SECRET = "s3cret-Pa55phrase"


def customized(**customizations: Any) -> dict[str, Any]:
    return compose_request(customizations=customizations)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fields") / "service.log"


@pytest.fixture(scope="module")
def logged(module_database: Parameters, composer_process: StandInComposer, log: Path) -> Iterator[Service]:
    """A service with a readable log."""
    with Service(module_database, composer_process.url, environment={"LOG_LEVEL": "DEBUG"}, log=log) as running:
        yield running


# Unknown fields


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (compose_request(surprise=1), ["surprise"]),
        (compose_request(image={"surprise": 1}), ["image_requests[0]", "surprise"]),
        (customized(kernel={"surprise": 1}), ["customizations.kernel", "surprise"]),
        (customized(services={"surprise": ["x"]}), ["customizations.services", "surprise"]),
        (customized(firewall={"services": {"surprise": []}}), ["customizations.firewall.services", "surprise"]),
        (customized(timezone={"surprise": 1}), ["customizations.timezone", "surprise"]),
        (customized(locale={"surprise": 1}), ["customizations.locale", "surprise"]),
        (customized(groups=[{"name": "g", "surprise": 1}]), ["customizations.groups[0]", "surprise"]),
        (customized(fips={"surprise": 1}), ["customizations.fips", "surprise"]),
        (customized(installer={"surprise": 1}), ["customizations.installer", "surprise"]),
        (customized(cacerts={"pem_certs": [], "surprise": 1}), ["customizations.cacerts", "surprise"]),
        (customized(enabled_modules=[{"name": "n", "stream": "1", "surprise": 1}]), ["enabled_modules[0]", "surprise"]),
    ],
    ids=lambda value: ".".join(value) if isinstance(value, list) else "",
)
def test_an_additional_field_is_refused_by_name_if_the_contract_forbids_it(
    service: Service, body: dict[str, Any], named: list[str]
) -> None:
    detail = refusal(service.client("unknown").post("/compose", body), 400)
    for name in named:
        assert name in detail


def test_other_unknown_fields_are_dropped(service: Service) -> None:
    client = service.client("dropped")
    compose_id = client.compose(
        compose_request(
            image={"ostree": {"ref": "a/b", "surprise": 1}},
            customizations={
                "surprise": {"x": [1]},
                "users": [{"name": "u", "surprise": 1}],
                "files": [{"path": "/etc/x", "surprise": None}],
                "filesystem": [{"mountpoint": "/var", "min_size": 1, "surprise": 1}],
            },
        )
    )
    for text in (client.get(f"/composes/{compose_id}").text, client.get("/composes").text):
        assert "surprise" not in text


def test_unknown_fields_in_upload_options_are_stored(service: Service) -> None:
    client = service.client("kept")
    options = {"surprise": {"x": [1, "two", {}]}}
    compose_id = client.compose(compose_request(image={"options": options}))
    request = client.get(f"/composes/{compose_id}").json()["request"]
    assert request["image_requests"][0]["upload_request"]["options"] == options


def test_a_null_in_a_list_in_upload_options_is_stored_unchanged(service: Service) -> None:
    client = service.client("null in options")
    options = {"surprise": [1, None, "two"]}
    compose_id = client.compose(compose_request(image={"options": options}))
    request = client.get(f"/composes/{compose_id}").json()["request"]
    assert request["image_requests"][0]["upload_request"]["options"] == options


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(compose_request(**{"k" * 100_000: 1}), id="one name of 100 KB"),
        pytest.param(compose_request(**{f"key{number}": 1 for number in range(10_000)}), id="10,000 names"),
    ],
)
def test_error_texts_have_a_limited_length(service: Service, body: dict[str, Any]) -> None:
    assert len(refusal(service.client("long").post("/compose", body), 400)) < 2000


# Null, types, limits


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (compose_request() | {"image_name": None}, "image_name"),
        (compose_request() | {"image_description": None}, "image_description"),
        (compose_request() | {"distribution": None}, "distribution"),
        (compose_request() | {"bootc": None}, "bootc"),
        (compose_request() | {"client_id": None}, "client_id"),
        (compose_request() | {"image_requests": None}, "image_requests"),
        (compose_request() | {"customizations": None}, "customizations"),
        (compose_request(image={"size": None}), "size"),
        (compose_request(image={"ostree": None}), "ostree"),
        (compose_request(image={"snapshot_date": None}), "snapshot_date"),
        (compose_request(image={"options": None}), "options"),
        (compose_request(image={"upload_request": None}), "upload_request"),
        (compose_request("aws", "aws", image={"options": {"share_with_accounts": None}}), "share_with_accounts"),
        (customized(packages=None), "customizations.packages"),
        (customized(packages=[None]), "customizations.packages[0]"),
        (customized(users=[{"name": None}]), "customizations.users[0].name"),
        (customized(users=[{"name": "u", "password": None}]), "customizations.users[0].password"),
        (customized(users=[{"name": "u", "ssh_key": None}]), "customizations.users[0].ssh_key"),
        (customized(users=[{"name": "u", "hasPassword": None}]), "customizations.users[0].hasPassword"),
        (customized(filesystem=[{"mountpoint": "/", "min_size": None}]), "customizations.filesystem[0].min_size"),
        (customized(files=[{"path": "/etc/x", "user": None}]), "customizations.files[0].user"),
        (customized(openscap=None), "customizations.openscap"),
        (customized(fips={"enabled": None}), "customizations.fips.enabled"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_null_is_refused_where_the_contract_does_not_allow_it(
    service: Service, body: dict[str, Any], field: str
) -> None:
    assert field in refusal(service.client("null").post("/compose", body), 400)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (compose_request(distribution=None) | {"distribution": 9}, "distribution"),
        (compose_request(distribution="centos-9000"), "distribution"),
        (compose_request(image_name="x" * 101), "image_name"),
        (compose_request(image_description="x" * 251), "image_description"),
        (compose_request(client_id="browser"), "client_id"),
        (compose_request(image_requests=[]), "image_requests"),
        (compose_request(image_requests={}), "image_requests"),
        (compose_request(image_requests=[image_request(), image_request("aws", "aws")]), "image_requests"),
        (compose_request("floppy"), "image_requests[0].image_type"),
        (compose_request(image={"architecture": "pdp11"}), "image_requests[0].architecture"),
        (compose_request(image={"upload_request": {"type": "ftp", "options": {}}}), "upload_request.type"),
        (compose_request(image={"upload_request": {"type": "aws.s3"}}), "options"),
        (compose_request(image={"options": "none"}), "options"),
        (compose_request(image={"options": []}), "options"),
        (compose_request("aws", "aws", image={"options": {"share_with_accounts": "1"}}), "share_with_accounts"),
        (customized(packages="vim"), "customizations.packages"),
        (customized(packages=["x"] * 10_001), "customizations.packages"),
        (customized(filesystem=[{"mountpoint": "/x", "min_size": 1}] * 129), "customizations.filesystem"),
        (customized(services={"enabled": "sshd"}), "customizations.services.enabled"),
        (customized(partitioning_mode="zfs"), "customizations.partitioning_mode"),
        (customized(openscap={}), "customizations.openscap"),
        (customized(openscap={"policy_id": "not-a-uuid"}), "policy_id"),
        (customized(openscap={"policy_id": "b3e1c4a852f74f0a9d538a0f6c2e71d9"}), "policy_id"),
        (customized(users=[{}]), "customizations.users[0]"),
        (customized(users={"name": "u"}), "customizations.users"),
        (customized(files=[{"data": "x"}]), "path"),
        (customized(files=[{"path": "/etc/x", "data_encoding": "rot13"}]), "customizations.files[0].data_encoding"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_error_names_the_field(service: Service, body: dict[str, Any], field: str) -> None:
    assert field in refusal(service.client("types").post("/compose", body), 400)


@pytest.mark.parametrize("owner", [[], {}, 1.5, True])
def test_an_error_names_both_types_if_text_or_a_number_is_allowed(service: Service, owner: Any) -> None:
    body = customized(directories=[{"path": "/etc/x", "group": owner}])
    detail = refusal(service.client("both").post("/compose", body), 400)
    assert "customizations.directories[0].group" in detail
    assert "string" in detail
    assert "integer" in detail


# Secrets


SECRETIVE: dict[str, Any] = {
    "password beside a wrong name": customized(users=[{"name": 5, "password": SECRET}]),
    "password in a list": customized(users=[{"name": "u", "password": [SECRET]}]),
    "password of an unknown crypt form": customized(users=[{"name": "u", "password": f"$y$j9T${SECRET}"}]),
    "password for users": customized(users=SECRET),
    "password for a user": customized(users=[SECRET]),
    "password for the whole body": SECRET,
    "password beside a wrong sibling": customized(users=[{"name": "u", "password": SECRET}], packages=7),
    "password in a valid user, distribution unknown": compose_request(
        distribution="rhel-9-nightly", customizations={"users": [{"name": "u", "password": SECRET}]}
    ),
    "activation key beside a wrong organization": customized(
        subscription={
            "organization": "x",
            "activation-key": SECRET,
            "server-url": "",
            "base-url": "",
            "insights": True,
        }
    ),
    "activation key, others missing": customized(subscription={"activation-key": SECRET}),
    "activation key of a wrong type": customized(subscription={"activation-key": {"key": SECRET}}),
    "host config key": customized(aap_registration={"host_config_key": SECRET, "ansible_callback_url": 1}),
    "host config key and a surprise": customized(aap_registration={"host_config_key": SECRET, "surprise": 1}),
    "secret in an enum": customized(partitioning_mode=SECRET),
    "secret as the client id": compose_request(client_id=SECRET),
    "secret too long": compose_request(image_name=SECRET * 10),
    "secret as base64": customized(files=[{"path": "/etc/x", "data": f"{SECRET}!", "data_encoding": "base64"}]),
    "secret as a policy": customized(openscap={"policy_id": SECRET}),
    "secret as an account": compose_request("aws", "aws", image={"options": {"share_with_accounts": SECRET}}),
    "secret as a size": compose_request(image={"size": SECRET}),
    "secret as a partition": customized(disk={"partitions": [{"type": SECRET, "fs_type": SECRET}]}),
}


@pytest.mark.parametrize("body", SECRETIVE.values(), ids=SECRETIVE.keys())
def test_errors_and_the_log_do_not_repeat_secrets(logged: Service, log: Path, body: Any) -> None:
    answer = logged.client("secrets").post("/compose", body)
    refusal(answer, {400, 403})
    assert SECRET not in answer.text
    assert SECRET not in log.read_text()
    assert "Traceback" not in log.read_text()


def test_an_error_does_not_repeat_the_password_of_an_invalid_document(logged: Service, log: Path) -> None:
    body = json.dumps(customized(users=[{"name": "u", "password": SECRET}])).encode()
    for broken in (body[:-1], body + b"]", body.replace(b'"u"', b'"\\ud800"'), body.replace(b'"u"', b"NaN")):
        answer = logged.client("secrets").post("/compose", data=broken, headers={"Content-Type": "application/json"})
        refusal(answer, 400)
        assert SECRET not in answer.text
    assert SECRET not in log.read_text()


def test_an_accepted_activation_key_is_not_logged(logged: Service, log: Path) -> None:
    subscription = {"organization": 1, "activation-key": SECRET, "server-url": "", "base-url": "", "insights": True}
    logged.client("accepted keys").compose(customized(subscription=subscription))
    assert SECRET not in log.read_text()


def test_an_accepted_password_is_neither_logged_nor_answered(logged: Service, log: Path) -> None:
    client = logged.client("accepted secrets")
    compose_id = client.compose(customized(users=[{"name": "u", "password": SECRET}]))
    for path in ("/composes", f"/composes/{compose_id}"):
        assert SECRET not in client.get(path).text
        assert "$6$" not in client.get(path).text
    assert SECRET not in log.read_text()
