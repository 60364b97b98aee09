"""The environment of rounds: a separate PostgreSQL, a composer, and pods that take over from each other."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from adapters.embedded.composer.process import StandInComposer
from adapters.embedded.postgres import EmbeddedPostgres
from adapters.postgres.migrate import migrate
from tests.support.callers import Callers, asked_for
from tests.support.cuts import Round, Step
from tests.support.databases import Parameters
from tests.support.folders import open_data_folder
from tests.support.holds import add_gate, closed_gate, end_waiting_sessions, freeze_after_commit, held_up
from tests.support.pods import RECONCILING, Pod, Relay, quotas
from tests.support.rows import insert_compose
from tests.support.stand_in import Client as ComposerClient
from tests.support.stand_in import a_request
from tests.support.waiting import until

LIMIT = 1000


@dataclass(frozen=True, slots=True)
class Others:
    """Builds of other programs at the composer: one with a row of the older program, one without."""

    tenant: str
    recorded: str
    unknown: str


@dataclass(frozen=True, slots=True)
class Played:
    """A completed round after everything runs again: the answers to clients, by id of the build and by status."""

    tenants: tuple[str, ...]
    promised: Mapping[str, str]
    told: tuple[int, ...]
    others: Others


class Stage:
    """Everything that a round needs; it runs whenever no round is in progress."""

    def __init__(self, postgres: EmbeddedPostgres, composer: StandInComposer, relay: Relay) -> None:
        self.composer = composer
        self._postgres = postgres
        self._relay = relay

    @property
    def database(self) -> Parameters:
        """Connection parameters of the database."""
        return dict(self._postgres.connection_parameters())

    @property
    def pod(self) -> Pod:
        """The serving pod."""
        return self._relay.serving

    def play(self, played: Round) -> Played:
        """Let clients start builds, kill the part of the round, and start it again."""
        self.composer.reset()
        others = self._others()
        try:
            with Callers(self.pod) as callers:
                until(lambda: len(callers.promised) >= played.promised, "the first builds are accepted")
                with ExitStack() as holds:
                    self._reach(played, callers, holds)
                    self._cut(played)
                    if not played.late:
                        holds.close()
                    time.sleep(played.pause)
                    self._restore()
        finally:
            self.composer.steer(hang=None, post_latency=None)
            self._restore()
        return Played(tuple(callers.tenants), callers.promised, tuple(callers.told), others)

    def _reach(self, played: Round, callers: Callers, holds: ExitStack) -> None:
        """Return when a build is at the round's step; `holds` keep it there."""
        match played.step:
            case Step.RESERVING:
                holds.enter_context(held_up(self.database, "LOCK TABLE compose_starts IN SHARE MODE"))
            case Step.RECORDING:
                holds.enter_context(held_up(self.database, closed_gate("composes")))
            case Step.ASKING:
                self.composer.steer(hang=True)
                holds.callback(self.composer.steer, hang=None)
                until(self._composer_works, "the composer is asked")
            case Step.BUILDING:
                self.composer.steer(post_latency=played.latency)
                holds.callback(self.composer.steer, post_latency=None)
                until(self._composer_works, "the composer is asked")
            case Step.COMMITTED:
                freeze_after_commit(self.database, self.pod, "composes")
            case Step.ANSWERED:
                before = len(callers.promised)
                until(lambda: len(callers.promised) > before, "another build is accepted")
            case Step.ANYTIME:
                time.sleep(played.delay)

    def _cut(self, played: Round) -> None:
        if played.cut.ends_the_database:
            self._postgres.kill()
        if played.cut.ends_the_service:
            self.pod.kill()
            if not played.cut.ends_the_database and not played.orphans:
                end_waiting_sessions(self.database)

    def _restore(self) -> None:
        self._postgres.start()
        if not self.pod.runs:
            self._relay.hand_over()

    def _composer_works(self) -> bool:
        calls: list[dict[str, Any]] = self.composer.behaviour()["recent"]
        return any(call["ended"] is None and call["method"] == "POST" for call in calls)

    def _others(self) -> Others:
        """Two builds that other programs request."""
        client, tenant = ComposerClient(self.composer), uuid4().hex
        recorded, unknown = (
            client.queued(a_request(customizations={"hostname": f"{name}.example"})) for name in ("old", "unknown")
        )
        insert_compose(self.database, tenant, asked_for(tenant, 0), job_id=UUID(recorded))
        return Others(tenant, recorded, unknown)


@contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    """A new stage; `folder` is for small files."""
    with (
        open_data_folder() as data,
        StandInComposer(seconds=1.0) as composer,
        # An immediate shutdown loses what the server has not written; what it has written the machine still has.
        EmbeddedPostgres(data / "data", max_connections=200, settings={"fsync": "off"}) as postgres,
    ):
        parameters = dict(postgres.connection_parameters())
        migrate(parameters)
        add_gate(parameters, "composes")
        relay = Relay(parameters, composer.url, {**RECONCILING, **quotas(folder, LIMIT)})
        try:
            yield Stage(postgres, composer, relay)
        finally:
            relay.close()
