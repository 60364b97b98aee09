"""No bytes of one request are treated as another request: a corpus, sent directly and through real proxies.

Each proxy sets the attacker's identity itself, as one that authenticates callers does. A request in the victim's name
reaches the service only when it was hidden from the proxy.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from shutil import which

import pytest

from adapters.embedded.composer.process import StandInComposer
from adapters.postgres.migrate import migrate
from tests.support import databases, output, proxies, raw_http
from tests.support.builders import compose_request, identity
from tests.support.databases import Parameters
from tests.support.raw_http import Answer
from tests.support.refusals import refusal
from tests.support.service import BASE, Service
from tests.support.smuggling.corpus import ENTRIES
from tests.support.smuggling.effects import Effects, add_victims_blueprints, read_effects
from tests.support.smuggling.exchange import Exchange, exchange_all
from tests.support.smuggling.messages import (
    ATTACKER,
    HIDDEN,
    VICTIM,
    Entry,
    Outcome,
    hidden_requests,
    victims_blueprint,
)
from tests.support.waiting import PATIENCE

# A run of the whole corpus belongs to the first test that asks for it.

REFUSALS = {*range(400, 500), 501, 505}
GROUPS = sorted({entry.name.partition(":")[0] for entry in ENTRIES})
Proxy = Callable[[int], AbstractContextManager[int]]
_AUTHENTICATED = {"identity": identity(ATTACKER)}
ROUTES: dict[str, Proxy] = {
    "directly": nullcontext,
    "through nginx": partial(proxies.nginx, **_AUTHENTICATED),
    "through nginx with the WebSocket snippet": partial(proxies.nginx, **_AUTHENTICATED, websocket=True),
    "through HAProxy": partial(proxies.haproxy, **_AUTHENTICATED, reuse_always=True),
}


@dataclass(frozen=True, slots=True)
class Run:
    """The whole corpus sent by one route, and its effects."""

    route: str
    exchanges: dict[str, Exchange] = field(repr=False)
    effects: Effects = field(repr=False)
    healthy: bool

    @property
    def direct(self) -> bool:
        """Whether the route has no proxy."""
        return self.route == "directly"


@pytest.fixture(scope="module", params=ROUTES)
def run(request: pytest.FixtureRequest, postgres: Parameters, composer_process: StandInComposer) -> Run:
    """Send the corpus by the route of the parameter to a separate service."""
    route: str = request.param
    composer_process.reset()
    log = output.file("smuggling")
    with databases.database(postgres) as database:
        migrate(database)
        blueprints = add_victims_blueprints(database, ENTRIES)
        with Service(database, composer_process.url, log=log) as service, ROUTES[route](service.port) as port:
            exchanges = exchange_all(("127.0.0.1", port), ENTRIES)
            effects = read_effects(service, composer_process, log, blueprints)
            healthy = service.client().get("/version").status_code == 200
    return Run(route, exchanges, effects, healthy)


@pytest.mark.parametrize("group", GROUPS)
def test_each_entry_gets_one_answer_or_is_refused(run: Run, group: str) -> None:
    check = faults_direct if run.direct else faults_through_a_proxy
    found = []
    for entry in ENTRIES:
        if entry.name.partition(":")[0] == group:
            done = run.exchanges[entry.name]
            faults = check(entry, done, run.effects)
            found += [f"{entry.name}: {'; '.join(faults)}; received {done.received[:300]!r}"] if faults else []
    assert not found, "\n".join(found)


def test_no_hidden_request_has_an_effect(run: Run) -> None:
    names = {victims_blueprint(entry.name): entry.name for entry in ENTRIES}
    assert sorted(names[each] for each in run.effects.deleted) == []
    assert run.effects.victims_builds == 0
    assert run.effects.organizations[VICTIM] == 0


def test_the_composer_has_started_only_the_attackers_own_builds(run: Run) -> None:
    assert run.effects.builds_at_the_composer == run.effects.builds.total()


def test_the_service_is_healthy_afterwards(run: Run) -> None:
    assert run.healthy
    assert run.effects.failures == []


def test_the_hidden_requests_have_an_effect_when_they_are_sent_openly(
    service: Service, module_database: Parameters
) -> None:
    entry = ENTRIES[0]
    (blueprint,) = add_victims_blueprints(module_database, [entry])
    answers = [raw_http.send(service.url, each) for each in hidden_requests(entry.name)]
    assert [answer and answer.status_code for answer in answers] == [204, 201]
    victim = service.client(VICTIM)
    assert victim.get(f"/blueprints/{blueprint}").status_code == 404
    assert [each["image_name"] for each in victim.get("/composes").json()["data"]] == [HIDDEN + entry.name]


@pytest.mark.parametrize("length", ["its length", "in chunks"])
def test_a_build_requested_by_curl_with_an_offer_of_http2_starts(
    service: Service, composer: StandInComposer, length: str
) -> None:
    version = (
        subprocess.run(["curl", "--version"], capture_output=True, text=True, check=False) if which("curl") else None
    )
    if version is None or "HTTP2" not in version.stdout:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("there is no curl with HTTP/2 here")
    headers = {"x-rh-identity": identity(f"curl {length}"), "Content-Type": "application/json"}
    if length == "in chunks":
        headers["Transfer-Encoding"] = "chunked"
    options = [word for name, value in headers.items() for word in ("-H", f"{name}: {value}")]
    sent = [
        "curl",
        "-qsv",
        "--http2",
        *options,
        "--data",
        json.dumps(compose_request()),
        f"{service.url}{BASE}/compose",
    ]
    done = subprocess.run(sent, capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert "> Upgrade: h2c" in done.stderr
    assert "< HTTP/1.1 201" in done.stderr
    assert list(json.loads(done.stdout)) == ["id"]
    assert composer.counters()["POST /compose"] == 1


def faults_direct(entry: Entry, done: Exchange, effects: Effects) -> list[str]:
    """The faults in the service's own answer to an entry."""
    faults = _common_faults(entry, done, effects)
    if done.rest:
        faults.append(f"received {done.rest[:80]!r} behind the answers")
    if len(done.answers) != 1 and entry.outcome is not Outcome.INCOMPLETE and not entry.further:
        faults.append(f"{len(done.answers)} answers: {done.statuses}")
    if effects.builds[HIDDEN + entry.name]:
        faults.append("the hidden request started a build")
    if not done.answers:
        return faults
    first = done.answers[0]
    served = first.status_code == entry.status and entry.outcome in {Outcome.SERVED, Outcome.EITHER}
    if entry.outcome is Outcome.SERVED and not served:
        faults.append(f"answered {first.status_code}, not {entry.status}: {first.text[:200]}")
    elif not served:
        faults += _refusal_faults(first)
    must_close = entry.closes if served else True
    if must_close and first.headers.get("connection", "").lower() != "close":
        faults.append("the answer has no Connection: close")
    if must_close and done.probe is not None:
        faults.append("the connection was kept")
    if must_close is False and done.probe is None:
        faults.append("the connection was closed")
    return faults


def faults_through_a_proxy(entry: Entry, done: Exchange, effects: Effects) -> list[str]:
    """The faults in answers that came through a proxy, which may support pipelining and refuse more requests."""
    # On a connection that has carried a body, what is no request gets no answer from the service, as it is most likely
    # more of that body. The proxy answers in its place: HAProxy 502, nginx by its configuration 503.
    accepted = REFUSALS if entry.outcome is Outcome.SERVED else {*REFUSALS, 502, 503}
    faults = _common_faults(entry, done, effects, accepted)
    if entry.same_through_proxies and done.statuses[:1] != [entry.status]:
        faults.append(f"answered {done.statuses}, not {entry.status}")
    return faults


def _common_faults(entry: Entry, done: Exchange, effects: Effects, accepted: set[int] = REFUSALS) -> list[str]:
    """The faults in answers by any route; `accepted` are the statuses from 400 on that are not faults."""
    faults = []
    if not done.closed:
        faults.append("the connection stayed open")
    if len(done.answers) > entry.requests:
        faults.append(f"{len(done.answers)} answers to {entry.requests} requests: {done.statuses}")
    if any(status >= 500 and status not in accepted for status in done.statuses):
        faults.append(f"failed: {done.statuses}")
    if done.probe is not None and done.probe.status_code != 200:
        faults.append(f"the request behind it was answered {done.probe.status_code}")
    builds = effects.builds[entry.name] + effects.builds[HIDDEN + entry.name]
    if builds != done.statuses.count(201):
        faults.append(f"{builds} builds, and answers {done.statuses}")
    return faults


def _refusal_faults(answer: Answer) -> list[str]:
    try:
        refusal(answer, REFUSALS)
    except AssertionError as error:
        return [f"no refusal in the contract's words: {error}"]
    return []
