"""A check waits for back-ends as often as the start of a build does, one after the other.

The calls of a round wait for each other in these tests, so a call that is made later than in its round ends the test.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from threading import Barrier, Lock
from typing import Any
from uuid import uuid4

import pytest

from domain.content import CUSTOM_ORIGINS, ContentRepository, Policy, Snapshot, Template
from domain.distributions import AllowList, Catalogue
from domain.identity import Identity
from domain.submission import Accepted, Submission
from image_builder.fair_threads import FairThreads
from image_builder.usecases.check import CheckComposes, SupportedOptions
from image_builder.usecases.examine import ExamineRequests
from image_builder.usecases.gather import GatherAnswers
from image_builder.usecases.prepare import Prepare
from image_builder.usecases.resolve import ResolvePackages
from ports.resolver import Resolution
from tests.support.builders import compose_request
from tests.support.domain_builders import CONTENT, UPLOAD, a_rhel, a_snapshot, a_uuid, completed, known
from tests.support.starting import World
from tests.support.waiting import PATIENCE

CALLER = Identity("000001", entitled=True)
TEMPLATE = a_uuid(99)
OWN = "https://own.example/2"


class BackEnds:
    """All back-ends of a build. The calls of each round wait for each other; `made` counts the calls by name."""

    def __init__(self, rounds: Sequence[Counter[str]]) -> None:
        self.made: Counter[str] = Counter()
        self._lock = Lock()
        barriers = [Barrier(each.total()) for each in rounds]
        self._rounds = {name: barrier for each, barrier in zip(rounds, barriers, strict=True) for name in each}

    def _called(self, name: str) -> None:
        with self._lock:
            self.made[name] += 1
        self._rounds[name].wait(PATIENCE)

    def by_url(self, _: Identity, urls: Sequence[str], origins: Sequence[str]) -> tuple[ContentRepository, ...]:
        """See ports.content_sources."""
        self._called("by_url")
        return (known(2, OWN, origin="external"),) if origins == CUSTOM_ORIGINS else (known(1, *urls),)

    def by_uuid(self, *_: object) -> tuple[ContentRepository, ...]:
        """See ports.content_sources."""
        self._called("by_uuid")
        return (known(1),)

    def snapshots(self, *_: object) -> tuple[Snapshot, ...]:
        """See ports.content_sources."""
        self._called("snapshots")
        return (a_snapshot(1), a_snapshot(2))

    def template(self, *_: object) -> Template:
        """See ports.content_sources."""
        self._called("template")
        return Template(TEMPLATE, "t", (a_uuid(1),), (a_snapshot(1),))

    def aws_account(self, *_: object) -> str:
        """See ports.provisioning."""
        self._called("account")
        return "123456789012"

    def policy(self, _: Identity, policy_id: str) -> Policy:
        """See ports.compliance."""
        self._called("policy")
        return Policy(policy_id, "ref", 9)

    def tailoring(self, *_: object) -> str:
        """See ports.compliance."""
        self._called("tailoring")
        return "{}"

    def compliance_policies(self) -> bool:
        """See ports.features."""
        return True

    def submit(self, _: Mapping[str, Any]) -> Submission:
        """See ports.composer."""
        self._called(LAST)
        return Accepted(uuid4())

    def resolve_packages(self, _: Mapping[str, Any]) -> Resolution:
        """See ports.resolver."""
        self._called(LAST)
        return Resolution()

    def distribution(self, *_: object) -> dict[str, Any]:
        """See ports.composer."""
        self._called("options")
        return {"architectures": {}}


def of_aws(**image: Any) -> dict[str, Any]:
    return compose_request(
        "aws",
        "aws",
        distribution="rhel-9.8",
        image={"options": {"share_with_sources": ["1"]}, **image},
        customizations={
            "openscap": {"policy_id": a_uuid(50)},
            "payload_repositories": [{"baseurl": OWN, "rhsm": False}],
        },
    )


LAST = "submission or resolution"
BESIDE = Counter(["account", "policy", "tailoring"])
REQUESTS = {
    "latest content": (of_aws(), [BESIDE + Counter(["by_url"]), Counter([LAST])]),
    "a date": (
        of_aws(snapshot_date="2026-01-31"),
        [BESIDE + Counter(["by_url"] * 2), Counter(["snapshots"]), Counter([LAST])],
    ),
    "a template": (
        of_aws(content_template=TEMPLATE),
        [BESIDE + Counter(["template"]), Counter(["by_uuid"] * 2), Counter([LAST])],
    ),
}
Threads = Callable[[], FairThreads]


@pytest.fixture
def create_threads() -> Iterator[Threads]:
    pools: list[FairThreads] = []

    def create() -> FairThreads:
        pools.append(FairThreads(64, "test"))
        return pools[-1]

    yield create
    for pool in pools:
        pool.shutdown()


def prepare_with(back_ends: BackEnds, threads: Threads) -> Prepare:
    distribution = a_rhel("rhel-9.8")
    gather = GatherAnswers(back_ends, back_ends, back_ends, back_ends, threads())  # type: ignore[arg-type]
    return Prepare(Catalogue({"rhel-9.8": distribution}, AllowList()), gather, UPLOAD, CONTENT)


def check_with(back_ends: BackEnds, threads: Threads) -> CheckComposes:
    prepare = prepare_with(back_ends, threads)
    return CheckComposes(
        prepare=prepare,
        examine=ExamineRequests(prepare, lambda _: (), lambda document: document),
        resolve=ResolvePackages(back_ends),
        options=SupportedOptions(back_ends),  # type: ignore[arg-type]
        lists=None,  # type: ignore[arg-type]
        show_quota=lambda _: None,  # type: ignore[arg-type]
        blueprints=None,  # type: ignore[arg-type]
        threads=threads(),
        deadline=PATIENCE,
    )


@pytest.mark.parametrize(("document", "rounds"), REQUESTS.values(), ids=REQUESTS)
def test_a_start_takes_these_rounds(
    world: World, create_threads: Threads, document: dict[str, Any], rounds: list[Counter[str]]
) -> None:
    back_ends = BackEnds(rounds)
    world.use(prepare_with(back_ends, create_threads), back_ends)
    world(document, CALLER)
    assert back_ends.made == sum(rounds, Counter())


@pytest.mark.parametrize(("document", "rounds"), REQUESTS.values(), ids=REQUESTS)
def test_a_check_takes_the_same_rounds_with_the_supported_options_in_the_first(
    create_threads: Threads, document: dict[str, Any], rounds: list[Counter[str]]
) -> None:
    rounds = [rounds[0] + Counter(["options"]), *rounds[1:]]
    back_ends = BackEnds(rounds)
    result = check_with(back_ends, create_threads)(CALLER, [completed(document)])
    assert result.errors == ()
    assert back_ends.made == sum(rounds, Counter())


def test_without_lookups_the_resolution_does_not_wait_for_the_supported_options(create_threads: Threads) -> None:
    document = compose_request(distribution="rhel-9.8", customizations={"packages": ["nginx"]})
    check = check_with(BackEnds([Counter(["by_url"]), Counter(["options", LAST])]), create_threads)
    assert check(CALLER, [completed(document)]).errors == ()


def test_the_images_of_a_blueprint_are_looked_up_and_resolved_at_the_same_time(create_threads: Threads) -> None:
    first, last = Counter({"by_url": 2, "options": 2}), Counter({LAST: 2})
    documents = [compose_request(image_type, distribution="rhel-9.8") for image_type in ("guest-image", "vsphere")]
    back_ends = BackEnds([first, last])
    assert check_with(back_ends, create_threads)(CALLER, list(map(completed, documents))).errors == ()
    assert back_ends.made == first + last
