"""What a check says of packages that exist but cannot be installed, and of repositories that cannot be read."""

from __future__ import annotations

from typing import Any

from tests.support.builders import compose_request
from tests.support.service import Client


def check(client: Client, *packages: str) -> dict[str, Any]:
    answer = client.post("/compose/check", compose_request(customizations={"packages": ["nginx", *packages]}))
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def test_packages_that_conflict_are_an_error_with_the_reason_of_the_package_manager(client: Client) -> None:
    document = check(client, "build-error-20")
    assert document["valid"] is False
    (problem,) = document["problems"]
    assert (problem["path"], problem["code"]) == ("customizations.packages", "packages-conflict")
    assert "foo-1.0-1.el9.x86_64 needs libfoo.so.1" in problem["message"]


def test_a_repository_that_cannot_be_read_is_a_warning_that_names_it(client: Client) -> None:
    document = check(client, "build-error-25")
    assert document["valid"] is True
    (problem,) = document["problems"]
    assert (problem["code"], problem["severity"]) == ("not-checked", "warning")
    assert "https://repo.invalid/os/" in problem["message"]
