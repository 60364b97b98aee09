"""`?explain=true` shows the composer's request, without secrets."""

from __future__ import annotations

import base64
from typing import Any
from uuid import uuid4

import pytest

from tests.support.blueprints import blueprint
from tests.support.builders import compose_request
from tests.support.refusals import refusal
from tests.support.service import Client


def composer_request(client: Client, path: str, body: Any = None) -> Any:
    answer = client.post(f"{path}?explain=true", body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["images"], answer.text
    return answer, answer.json()["images"][0]["composer_request"]


def secret() -> str:
    return f"sesame{uuid4().hex}"


# Each customization with a secret in it, the image type and upload target that take it.
CUSTOMIZATIONS: list[tuple[str, str, str, Any]] = [
    ("password", "guest-image", "aws.s3", lambda it: {"users": [{"name": "u", "password": it}]}),
    ("SSH key", "guest-image", "aws.s3", lambda it: {"users": [{"name": "u", "ssh_key": f"ssh-rsa {it}"}]}),
    ("file", "guest-image", "aws.s3", lambda it: {"files": [{"path": "/etc/a", "data": it}]}),
    (
        "activation key",
        "guest-image",
        "aws.s3",
        lambda it: {
            "subscription": {
                "organization": 1,
                "activation-key": it,
                "server-url": "subscription.example.com",
                "base-url": "https://cdn.example.com/",
                "insights": True,
            }
        },
    ),
    (
        "host config key",
        "guest-image",
        "aws.s3",
        lambda it: {
            "aap_registration": {
                "ansible_callback_url": "https://aap.example.com/api/controller/v2/job_templates/1/callback/",
                "host_config_key": it,
            }
        },
    ),
    (
        "repository password",
        "guest-image",
        "aws.s3",
        lambda it: {"payload_repositories": [{"rhsm": False, "baseurl": f"https://user:{it}@repo.example.com/"}]},
    ),
    (
        "blueprint form",
        "guest-image",
        "aws.s3",
        lambda it: {
            "users": [{"name": "u", "uid": 1234, "ssh_key": f"ssh-rsa {it}", "password": it}],
            "files": [{"path": "/etc/a", "data": it}],
        },
    ),
]


@pytest.mark.parametrize(
    ("image_type", "upload", "write"), [each[1:] for each in CUSTOMIZATIONS], ids=[each[0] for each in CUSTOMIZATIONS]
)
def test_no_secret_of_a_request_is_shown(client: Client, image_type: str, upload: str, write: Any) -> None:
    hidden = secret()
    body = compose_request(image_type, upload, distribution="rhel-9", customizations=write(hidden))
    answer, shown = composer_request(client, "/compose/check", body)
    assert shown["image_request"]["architecture"] == "x86_64"
    assert hidden not in answer.text
    assert base64.b64encode(hidden.encode()).decode().rstrip("=") not in answer.text
    assert "$6$" not in answer.text


@pytest.mark.parametrize("prefix", ["", " ", "\n", "{"])
def test_an_ignition_configuration_is_not_shown(client: Client, prefix: str) -> None:
    config = base64.b64encode(f'{prefix}{{"ignition": {{"version": "3.3.0"}}}}'.encode()).decode()
    body = compose_request(
        "edge-installer",
        customizations={"installation_device": "/dev/sda", "ignition": {"embedded": {"config": config}}},
    )
    body["image_requests"][0]["ostree"] = {"url": "https://ostree.example.com/", "ref": "rhel/9/x86_64/edge"}
    answer, shown = composer_request(client, "/compose/check", body)
    assert "ignition" in str(shown)
    assert config not in answer.text


def test_keys_and_passwords_of_a_blueprint_are_not_shown(client: Client) -> None:
    hidden = secret()
    user = {"name": "u", "ssh_key": f"ssh-ed25519 {hidden}", "password": hidden}
    id_ = client.post("/blueprints", {**blueprint(uuid4().hex), "customizations": {"users": [user]}}).json()["id"]
    answer, shown = composer_request(client, f"/blueprints/{id_}/check")
    assert shown["customizations"]["users"][0]["name"] == "u"
    assert hidden not in answer.text
    assert "$6$" not in answer.text


def test_without_the_parameter_the_request_is_not_shown(client: Client) -> None:
    for query in ("", "?explain=false"):
        answer = client.post(f"/compose/check{query}", compose_request())
        assert "composer_request" not in answer.json()["images"][0]


@pytest.mark.parametrize("value", ["", "yes", "1", "True", "true&explain=true"])
def test_another_value_of_the_parameter_is_refused(client: Client, value: str) -> None:
    assert refusal(client.post(f"/compose/check?explain={value}", compose_request()), 400).startswith("explain: ")
