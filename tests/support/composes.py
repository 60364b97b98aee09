"""Composes as a client sees them."""

from __future__ import annotations

from typing import Any

from tests.support.service import Client


def listed(client: Client, query: str = "") -> dict[str, Any]:
    answer = client.get(f"/composes{query}")
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def status_of(client: Client, compose_id: object) -> dict[str, Any]:
    answer = client.get(f"/composes/{compose_id}")
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document
