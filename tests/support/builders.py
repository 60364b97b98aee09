"""Builders of requests: each has all required keys, and accepts the keys that a test is about."""

from __future__ import annotations

import base64
import json
from typing import Any

OPTIONS: dict[str, dict[str, Any]] = {
    "aws": {"share_with_accounts": ["123456789012"]},
    "aws.s3": {},
    "gcp": {},
    "azure": {"tenant_id": "t", "subscription_id": "s", "resource_group": "g"},
    "oci.objectstorage": {},
}

SUBSCRIPTION: dict[str, Any] = {
    "organization": 1,
    "activation-key": "k",
    "server-url": "https://subscription.example",
    "base-url": "https://cdn.example",
    "insights": True,
}


def identity(org_id: str = "000001", *, entitled: bool = True, **fields: Any) -> str:
    """A value of the header x-rh-identity."""
    document = {
        "identity": {
            "org_id": org_id,
            "account_number": "7",
            "type": "User",
            "user": {"username": "u", "email": "u@example.com"},
            **fields,
        },
        "entitlements": {"rhel": {"is_entitled": entitled}},
    }
    return encoded(document)


def encoded(document: Any) -> str:
    """A document encoded as an identity header."""
    return base64.b64encode(json.dumps(document).encode()).decode()


def image_request(image_type: str = "guest-image", upload: str = "aws.s3", **fields: Any) -> dict[str, Any]:
    """An ImageRequest; `options` replaces the upload options that fit the target."""
    options = fields.pop("options", OPTIONS[upload])
    return {
        "architecture": "x86_64",
        "image_type": image_type,
        "upload_request": {"type": upload, "options": options},
        **fields,
    }


def compose_request(
    image_type: str = "guest-image", upload: str = "aws.s3", *, image: dict[str, Any] | None = None, **fields: Any
) -> dict[str, Any]:
    """A ComposeRequest for centos-9; `image` are additional fields of its image request, and None removes a field."""
    document = {
        "distribution": "centos-9",
        "image_requests": [image_request(image_type, upload, **(image or {}))],
        **fields,
    }
    return {name: value for name, value in document.items() if value is not None}
