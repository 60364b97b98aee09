"""Requests for rhel-9.8 with a customer's repositories: the composer's customizations for them, or the error text.

Content sources knows the distribution's `baseos`.
"""

from __future__ import annotations

from typing import Any

from domain.compose.lookups import Answers
from domain.compose.snapshots import ContentSettings
from domain.content import ContentRepository
from tests.support.builders import compose_request
from tests.support.domain_builders import CONTENT, a_repository, a_rhel, a_snapshot, a_uuid, built, known, refusal

Json = dict[str, Any]

DATE = {"snapshot_date": "2026-01-31"}
TEMPLATE = {"content_template": a_uuid(99)}
BASE = known(1, "https://mirror.example/baseos")
URL = "https://own.example/2"
READ = "https://content.example/api/pulp-content/snapshots/2/"
REACHED = "https://reach.example/2/"
ORIGINS = ["external", "upload", "community"]
LATEST = "https://theirs.example/latest/2/"
CUSTOM = {
    "id": a_uuid(2),
    "name": "given",
    "baseurl": ["https://given.example", "https://given.example/second"],
    "gpgkey": ["GIVEN", "SECOND"],
    "check_gpg": False,
    "check_repo_gpg": False,
    "module_hotfixes": False,
    "filename": "given.repo",
    "metalink": "https://given.example/metalink",
    "mirrorlist": "https://given.example/mirrors",
    "priority": 7,
    "ssl_verify": False,
    "enabled": True,
}


def customer_repository(number: int = 2, url: str | None = None, **fields: Any) -> ContentRepository:
    """A repository of a customer in content sources, with the URL URL unless `url` is given."""
    return known(number, URL if url is None else url, **{"origin": "external", **fields})


def _arguments(customizations: Json | None, image: Json | None, answers: dict[str, Any]) -> tuple[Json, dict[str, Any]]:
    request = compose_request(image=image, distribution="rhel-9.8", customizations=customizations)
    red_hat = (BASE, *answers.pop("red_hat", ()))
    snapshots = (a_snapshot(1), *answers.pop("snapshots", ()))
    given = Answers(red_hat=red_hat, snapshots=snapshots, **answers)
    return request, {"distribution": a_rhel("rhel-9.8", a_repository(rhsm=True)), "answers": given}


def sent(
    customizations: Json | None, image: Json | None = None, *, content: ContentSettings = CONTENT, **answers: Any
) -> Any:
    """The composer's customizations if content sources gives these answers."""
    request, given = _arguments(customizations, image, answers)
    return built(request, content=content, **given).get("customizations")


def refused(customizations: Json, image: Json = DATE, **answers: Any) -> str:
    """The error text for these customizations."""
    request, given = _arguments(customizations, image, answers)
    return refusal(request, content=CONTENT, **given)


def payload(*entries: Json, image: Json | None = None, **answers: Any) -> Any:
    """The composer's payload repositories, for a request without other customizations."""
    found = sent({"payload_repositories": list(entries)}, image, **answers)
    assert found.keys() <= {"payload_repositories"}
    return found.get("payload_repositories")


def custom(*entries: Json, image: Json | None = None, **answers: Any) -> Any:
    """The composer's custom repositories, for a request without other customizations."""
    found = sent({"custom_repositories": list(entries)}, image, **answers)
    assert found.keys() <= {"custom_repositories"}
    return found.get("custom_repositories")
