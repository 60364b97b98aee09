"""What is left of builds at the composer, in the database and in the quota, when everything has been settled."""

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
    """Who asked for the builds the composer has, who has a row of which, what the composer was told to cancel.

    `starts` are those of these organizations that neither became rows nor were given back, `used` is what each is told
    of its quota.
    """

    builds: Mapping[str, str]
    rows: Mapping[str, str]
    cancelled: frozenset[str]
    starts: int
    used: Mapping[str, int]

    @property
    def unknown(self) -> dict[str, str]:
        """Builds of ours that are nobody's row, or another's than who asked for them."""
        return {each: owner for each, owner in self.builds.items() if self.rows.get(each) != owner}

    def rows_of(self, tenant: str) -> set[str]:
        """The organization's builds."""
        return {each for each, owner in self.rows.items() if owner == tenant}


def settled(database: Parameters, composer: StandInComposer, pod: Pod, tenants: Iterable[str]) -> Settled:
    """What is left of these organizations' starts when there is nothing more to do, or it has not been done in time."""
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
