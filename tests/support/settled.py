"""The final state of builds at the composer, in the database and in the quota, after everything was reconciled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from adapters.embedded.composer.process import StandInComposer
from tests.support.callers import tenant_of
from tests.support.databases import Parameters, session
from tests.support.pods import Pod
from tests.support.stand_in import Client as ComposerClient
from tests.support.waiting import comes_true

_ROWS = "SELECT job_id::text, org_id FROM composes"
_STARTS = "SELECT count(*) FROM compose_starts WHERE org_id = ANY (%s)"


@dataclass(frozen=True, slots=True)
class Settled:
    """The organizations of the builds at the composer, the owners of rows, and the builds that were cancelled.

    `starts` are the starts of these organizations that were neither recorded nor released; `used` is the usage of the
    quota that each organization gets.
    """

    builds: Mapping[str, str]
    rows: Mapping[str, str]
    cancelled: frozenset[str]
    starts: int
    used: Mapping[str, int]

    @property
    def unknown(self) -> dict[str, str]:
        """Builds of this service without a row, or with a row of another organization."""
        return {each: owner for each, owner in self.builds.items() if self.rows.get(each) != owner}

    def rows_of(self, tenant: str) -> set[str]:
        """The organization's builds."""
        return {each for each, owner in self.rows.items() if owner == tenant}


def settled(database: Parameters, composer: StandInComposer, pod: Pod, tenants: Iterable[str]) -> Settled:
    """Wait until nothing remains to be reconciled, and return the final state of these organizations."""
    tenants = list(tenants)
    client = ComposerClient(composer)

    def look() -> Settled:
        with session(database) as connection:
            rows = dict(connection.execute(_ROWS).fetchall())
            (starts,) = connection.execute(_STARTS, (tenants,)).fetchone() or (0,)
        return Settled(
            builds={each: owner for each, owner in _builds(client) if owner in tenants},
            rows=rows,
            cancelled=frozenset(composer.behaviour()["deleted"]),
            starts=starts,
            used={tenant: _used(pod, tenant) for tenant in tenants},
        )

    def done() -> bool:
        with session(database) as connection:
            return connection.execute(_STARTS, (tenants,)).fetchone() == (0,)

    comes_true(done)
    return look()


def _builds(client: ComposerClient) -> Iterable[tuple[str, str]]:
    listed: dict[str, Any] = client("GET", "/composes/").json()
    assert listed["total"] == len(listed["items"]), "the composer lists all it has"
    for item in listed["items"]:
        yield item["id"], tenant_of(client.metadata(item["id"])["request"])


def _used(pod: Pod, tenant: str) -> int:
    answer = pod.client(tenant).get("/quota")
    assert answer.status_code == 200, answer.text
    used: int = answer.json()["used"]
    return used
