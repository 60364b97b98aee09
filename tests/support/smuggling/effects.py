"""The effects of the corpus in the service: builds, deleted blueprints, and the organizations of requests."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from psycopg.types.json import Jsonb

from adapters.embedded.composer.process import StandInComposer
from tests.support.blueprints import add_version, blueprint
from tests.support.databases import Parameters, session
from tests.support.rows import now
from tests.support.service import Client, Service
from tests.support.smuggling.messages import ATTACKER, VICTIM, Entry, victims_blueprint

_PAGE = 100


@dataclass(frozen=True, slots=True)
class Effects:
    """The effects after a run.

    `builds` are the attacker's by image name, `builds_at_the_composer` is the number of builds that the composer has
    started, `deleted` are the victim's deleted blueprints, `victims_builds` is the number of builds of the victim.
    `organizations` counts the logged requests by organization; `failures` are log lines about faults of the service.
    """

    builds: Counter[str]
    builds_at_the_composer: int
    deleted: set[UUID]
    victims_builds: int
    organizations: Counter[str]
    failures: list[str]


def add_victims_blueprints(database: Parameters, entries: Iterable[Entry]) -> set[UUID]:
    """Create a blueprint of the victim for each entry, which the hidden request would delete, and return the ids."""
    ids = {victims_blueprint(entry.name) for entry in entries}
    document = blueprint()
    with session(database) as connection, connection.transaction():
        for each in ids:
            connection.execute(
                "INSERT INTO blueprints (id, org_id, account_number, name, created_at, metadata) "
                "VALUES (%s, %s, '', %s, %s, %s)",
                (each, VICTIM, str(each), now(), Jsonb({})),
            )
            add_version(connection, each, 1, document)
    return ids


def read_effects(service: Service, composer: StandInComposer, log: Path, blueprints: set[UUID]) -> Effects:
    """Read the log first, then request the data of the attacker and the victim from the service."""
    requests = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    organizations = Counter(str(line.get("org_id", "")) for line in requests if line.get("event") == "request")
    failures = [str(line) for line in requests if _is_failure(line)]
    attacker, victim = service.client(ATTACKER), service.client(VICTIM)
    started = _all(attacker, "/composes")
    return Effects(
        builds=Counter(str(each.get("image_name")) for each in started),
        builds_at_the_composer=composer.counters().get("POST /compose", 0),
        deleted=blueprints - {UUID(str(each["id"])) for each in _all(victim, "/blueprints")},
        victims_builds=len(_all(victim, "/composes")),
        organizations=organizations,
        failures=failures,
    )


def _is_failure(line: dict[str, object]) -> bool:
    status = line.get("status")
    failed = isinstance(status, int) and status >= 500 and status not in {501, 505}
    return failed or line.get("level") in {"error", "critical"} or "exception" in line


def _all(client: Client, path: str) -> list[dict[str, object]]:
    """The items of all pages of a list."""
    items: list[dict[str, object]] = []
    while True:
        answer = client.get(f"{path}?limit={_PAGE}&offset={len(items)}")
        assert answer.status_code == 200, answer.text
        page = answer.json()
        items += page["data"]
        if not page["data"] or len(items) >= page["meta"]["count"]:
            return items
