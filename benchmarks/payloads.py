"""What the benchmarks send, and the history they read."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import orjson
import psycopg
from psycopg.types.json import Jsonb

from adapters.files.distributions import load_allow_list, load_distributions
from domain.compose.build import write_request
from domain.compose.checks import check_request
from domain.compose.context import BuildContext
from domain.compose.customizations import translate_customizations
from domain.compose.lookups import create_questions
from domain.compose.passwords import redact_request
from domain.compose.request import parse_compose_request
from domain.compose.source import resolve_source
from domain.compose.targets import UploadSettings
from domain.distributions import Catalogue
from tests.support.service import PROJECT

BASE: Final = "/api/image-builder/v1"
# Who reads a history of fixed length, and who makes builds.
READER: Final = "000001"
BUILDER: Final = "000002"

CLOUDS: Final = {
    "OSBUILD_AWS_REGION": "us-east-1",
    "OSBUILD_GCP_REGION": "us-east1",
    "OSBUILD_GCP_BUCKET": "bucket",
}

_PACKAGES: Final = (
    *("bash-completion", "chrony", "cloud-init", "curl", "dnf-automatic", "firewalld", "git-core", "httpd", "jq"),
    *("logrotate", "mod_ssl", "nginx", "nmap-ncat", "openscap-scanner", "podman", "postgresql-server", "python3-pip"),
    *("rsyslog", "setroubleshoot-server", "sos", "tar", "tmux", "unzip", "vim-enhanced", "wget"),
)
_SSH_KEY: Final = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFakeFakeFakeFakeFakeFakeFakeFakeFakeFakeFak alice@example.com"
_MOTD: Final = "Built by the image builder. Changes belong into the blueprint, not onto this machine.\n" * 3

_INSERT: Final = """
INSERT INTO composes (job_id, request, created_at, account_number, org_id, email, image_name, client_id)
VALUES (%s, %s, (clock_timestamp() AT TIME ZONE 'utc') - %s * interval '1 minute', '7', %s, 'u@example.com', %s, 'ui')
"""


def identity(tenant: str) -> dict[str, str]:
    """The header of a user of this organization."""
    document = {
        "identity": {
            "org_id": tenant,
            "account_number": "7",
            "type": "User",
            "user": {"username": "u", "email": "u@example.com"},
        },
        "entitlements": {"rhel": {"is_entitled": True}},
    }
    return {"x-rh-identity": base64.b64encode(orjson.dumps(document)).decode()}


def small_request() -> dict[str, Any]:
    """A ComposeRequest of 1.3 KB, without users."""
    return {
        "distribution": "centos-9",
        "image_name": "web-server-frankfurt",
        "image_description": "Web servers of the Frankfurt region, rebuilt every Monday",
        "client_id": "ui",
        "image_requests": [
            {
                "architecture": "x86_64",
                "image_type": "guest-image",
                "size": 10737418240,
                "upload_request": {"type": "aws.s3", "options": {}},
            }
        ],
        "customizations": {
            "packages": list(_PACKAGES),
            "services": {"enabled": ["nginx", "chronyd", "firewalld"], "disabled": ["cups"]},
            "filesystem": [
                {"mountpoint": "/", "min_size": 5368709120},
                {"mountpoint": "/var", "min_size": 2147483648},
                {"mountpoint": "/var/log", "min_size": 1073741824},
            ],
            "kernel": {"append": "nosmt=force audit=1"},
            "timezone": {"timezone": "Europe/Berlin", "ntpservers": ["0.pool.ntp.org", "1.pool.ntp.org"]},
            "locale": {"languages": ["en_US.UTF-8", "de_DE.UTF-8"], "keyboard": "de"},
            "firewall": {"ports": ["80:tcp", "443:tcp"], "services": {"enabled": ["http", "https"]}},
            "openscap": {"profile_id": "xccdf_org.ssgproject.content_profile_cis"},
        },
    }


def request_with_user() -> dict[str, Any]:
    """The same with a user, who has a key and no password."""
    request = small_request()
    request["customizations"]["users"] = [{"name": "alice", "groups": ["wheel"], "ssh_key": _SSH_KEY}]
    return request


def compose_request() -> dict[str, Any]:
    """A ComposeRequest of 1.8 KB, with a user and a file.

    No password is to be hashed: that takes five milliseconds of CPU by intention, here and anywhere.
    """
    request = request_with_user()
    content = base64.b64encode(_MOTD.encode()).decode()
    request["customizations"]["files"] = [
        {"path": "/etc/motd", "mode": "0644", "data": content, "data_encoding": "base64"}
    ]
    request["customizations"]["hostname"] = "web.example.com"
    return request


@cache
def composer_request() -> dict[str, Any]:
    """What the service makes of `compose_request` for the composer."""
    request = parse_compose_request(compose_request())
    catalogue = Catalogue(load_distributions(PROJECT / "distributions"), load_allow_list(None))
    source = resolve_source(request, catalogue, org_id=BUILDER, entitled=True)
    upload = UploadSettings(
        aws_region=CLOUDS["OSBUILD_AWS_REGION"],
        gcp_region=CLOUDS["OSBUILD_GCP_REGION"],
        gcp_bucket=CLOUDS["OSBUILD_GCP_BUCKET"],
    )
    check_request(request, source)
    customizations = translate_customizations(request.customizations)
    return write_request(BuildContext(request, source, customizations, create_questions(request, source), upload))


def seed(database: Mapping[str, Any], *, composes: int, user_every: int) -> None:
    """Give READER a history of that many builds, every `user_every`th (none for 0) with a user."""
    plain = Jsonb(redact_request(small_request()), dumps=orjson.dumps)
    with_user = Jsonb(redact_request(request_with_user()), dumps=orjson.dumps)
    with psycopg.connect(**database, autocommit=True) as session:
        for number in range(composes):
            request = with_user if user_every and number % user_every == 0 else plain
            session.execute(_INSERT, (uuid.uuid4(), request, number, READER, f"web-server-{number}"))
        session.execute("VACUUM ANALYZE composes")
