"""Rows that several versions of the older program stored."""

from __future__ import annotations

from typing import Any

from tests.support.blueprints import blueprint
from tests.support.builders import compose_request, image_request

NO_POLICY = "00000000-0000-0000-0000-000000000000"
# The one that the distribution directory lists.
REFERENCE = (
    "quay.io/redhat-services-prod/insights-management-tenant/image-builder-bootc-foundry/hummingbird-qcow2:latest"
)
BOOTC = {"reference": REFERENCE}
PLAIN, HASH = "old-secret", "$6$salt$old-secret"


def body(*images: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """The body of a stored version."""
    return {name: value for name, value in blueprint("", *images, **fields).items() if name != "name"}


def with_customizations(**customizations: Any) -> dict[str, Any]:
    return body(customizations=customizations)


# What the older program, in one version or another, left of a blueprint.
BODIES: dict[str, dict[str, Any]] = {
    "as today": body(),
    "empty": {},
    "nulls": {"customizations": None, "image_requests": None, "distribution": None, "bootc": None},
    "a fixup's": {**body(), "name": "inner", "description": "inner", "metadata": {"parent_id": None}},
    "said to have a password": with_customizations(users=[{"name": "u", "hasPassword": True}]),
    "a hash": with_customizations(users=[{"name": "u", "password": HASH, "hasPassword": True}]),
    "a plain password": with_customizations(users=[{"name": "u", "password": PLAIN, "ssh_key": "k"}]),
    "empty secrets": with_customizations(users=[{"name": "u", "password": "", "ssh_key": ""}]),
    "no users": with_customizations(users=None, packages=None, files=None),
    "a profile without policy": with_customizations(openscap={"profile_id": "p", "policy_id": NO_POLICY}),
    "neither profile nor policy": with_customizations(openscap={"policy_id": NO_POLICY, "profile_id": None}),
    "a blank before the first argument": with_customizations(kernel={"append": " audit=1"}),
    "image mode": body(distribution=None, bootc=BOOTC),
    "image mode under a distribution": body(bootc=BOOTC),
    "an image type of long ago": body({**image_request("no-longer-known"), "upload_request": {"type": "nowhere"}}),
    "a snapshot": body(image_request(snapshot_date="2024-05-01"), customizations={"subscription": None}),
    "keys of long ago": {**with_customizations(of_long_ago={"a": 1}), "of_long_ago": [1]},
}
COLUMNS: dict[str, dict[str, Any]] = {
    "without description": {"description": None, "metadata": None},
    "a long name": {"name": "n" * 200, "description": "d" * 250},
    "handed on": {"metadata": '{"parent_id": null, "exported_at": "", "is_on_prem": false}', "account_number": "7"},
}
SNAPSHOTS: dict[str, Any] = {
    "a policy": {"compliance": {"policy_id": NO_POLICY, "policy_customizations": {"packages": ["aide"]}}},
    "a policy of nothing": {"compliance": {"policy_id": None, "policy_customizations": None}},
    "nothing": {},
}

# What it left of a build.
REQUESTS: dict[str, Any] = {
    "as today": compose_request(),
    "a plain password": compose_request(customizations={"users": [{"name": "u", "password": PLAIN, "ssh_key": "k"}]}),
    "a hash": compose_request(customizations={"users": [{"name": "u", "password": HASH, "hasPassword": True}]}),
    "said to have a password": compose_request(customizations={"users": [{"name": "u", "hasPassword": True}]}),
    "nulls": {**compose_request(), "image_name": None, "customizations": {"users": None, "packages": None}},
    "image mode": {**compose_request(distribution=None), "bootc": BOOTC},
    "an image type of long ago": compose_request("no-longer-known", image={"upload_request": {"type": "nowhere"}}),
    "a profile without policy": compose_request(
        customizations={"openscap": {"profile_id": "p", "policy_id": NO_POLICY}}
    ),
    "a blank before the first argument": compose_request(customizations={"kernel": {"append": " audit=1"}}),
    "registered": compose_request(customizations={"subscription": {"organization": 1, "rhc": True, "rhcd": True}}),
    "keys of long ago": {**compose_request(), "of_long_ago": {"a": [1]}, "client_id": "of-long-ago"},
    "empty": {},
}
BUILDS: dict[str, dict[str, Any]] = {
    "without anything": {},
    "named": {"image_name": "mine", "email": "u@example.com", "client_id": "ui", "account_number": "7"},
    "by nobody": {"email": "", "client_id": "", "image_name": ""},
}
