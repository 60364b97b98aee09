"""Factories of use cases that several others need. Each takes the container."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from adapters.crypt import sha512_crypt_hash
from domain.errors import ConfigurationError
from image_builder.usecases.blueprints import ManageBlueprints
from image_builder.usecases.check import CheckComposes, SupportedOptions
from image_builder.usecases.complete_cancellations import CompleteCancellations
from image_builder.usecases.compose import StartComposes
from image_builder.usecases.examine import ExamineRequests
from image_builder.usecases.gather import GatherAnswers
from image_builder.usecases.idempotent_requests import IdempotentRequests
from image_builder.usecases.looks import LookAtBuilds
from image_builder.usecases.orphans import CancelOrphans
from image_builder.usecases.passwords import HashPasswords
from image_builder.usecases.prepare import Prepare
from image_builder.usecases.quota import ShowQuota
from image_builder.usecases.readiness import Probe
from image_builder.usecases.reconcile import ReconcileStarts
from image_builder.usecases.record import RecordBuilds
from image_builder.usecases.requirements import PolicyRequirements
from image_builder.usecases.resolve import ResolvePackages
from image_builder.usecases.watch import LookBudget, StatusWatcher
from ports.composer import Composer

if TYPE_CHECKING:
    from image_builder.composition.container import Container


# The time after which a cancellation counts as abandoned; its calls of the composer end within it.
_CANCELLATION_LEASE: Final = timedelta(seconds=60)


def create_database_probe(container: Container) -> Probe:
    """Readiness of the database."""
    return Probe(container.database().check)


def create_hash_passwords(container: Container) -> HashPasswords:
    """Hashing of the passwords in requests and blueprints."""
    return HashPasswords(sha512_crypt_hash, container.hash_threads())


def create_idempotent_requests(container: Container) -> IdempotentRequests:
    """Requests with an Idempotency-Key."""
    return IdempotentRequests(container.idempotency_keys(), container.fingerprints())


def create_record(container: Container) -> RecordBuilds:
    """Recording of builds that the composer has started."""
    starts, composer, fingerprints = container.starts(), container.back_ends().composer, container.fingerprints()
    return RecordBuilds(
        starts,
        container.idempotency_keys(),
        CancelOrphans(starts, composer, fingerprints),
        container.settings().builds.start_lease,
        container.metrics(),
    )


def create_prepare(container: Container) -> Prepare:
    """Look-ups and the composer's request."""
    back_ends, settings = container.back_ends(), container.settings()
    return Prepare(
        catalogue=container.catalogue(),
        gather=GatherAnswers(
            content_sources=back_ends.content_sources,
            provisioning=back_ends.provisioning,
            compliance=back_ends.compliance,
            features=container.feature_flags(),
            threads=container.lookup_threads(),
        ),
        upload=settings.builds.upload,
        content=settings.content,
    )


def create_start_composes(container: Container) -> StartComposes:
    """Starting builds: reserve, submit, record."""
    return StartComposes(
        prepare=create_prepare(container),
        hash_passwords=container.hash_passwords(),
        deadline=container.settings().builds.compose_deadline,
        quotas=container.quotas(),
        starts=container.starts(),
        record=container.record(),
        composer=container.back_ends().composer,
        threads=container.image_threads(),
        fingerprints=container.fingerprints(),
        meter=container.metrics(),
    )


def create_check_composes(container: Container) -> CheckComposes:
    """Checking of requests without a build."""
    body = container.contract().operations["checkCompose"].body
    if body is None:
        raise ConfigurationError("openapi.yaml describes no body of checkCompose")
    back_ends = container.back_ends()
    prepare = create_prepare(container)
    return CheckComposes(
        prepare=prepare,
        examine=ExamineRequests(prepare, body.find_errors, body.accept),
        resolve=ResolvePackages(back_ends.resolver),
        options=SupportedOptions(back_ends.composer_lookups),
        lists=container.package_lists(),
        show_quota=ShowQuota(container.quotas(), container.starts()),
        blueprints=container.blueprints(),
        threads=container.image_threads(),
        deadline=container.settings().builds.compose_deadline,
    )


def create_look_at_builds(container: Container) -> LookAtBuilds:
    """Statuses from the composer, for requests."""
    return LookAtBuilds(container.back_ends().composer, container.statuses(), container.metrics())


def create_complete_cancellations(container: Container, composer: Composer | None = None) -> CompleteCancellations:
    """Completion of recorded cancellations, over the `composer` of requests unless another is given."""
    composer = composer or container.back_ends().composer
    return CompleteCancellations(
        cancellations=container.cancellations(),
        composer=composer,
        looks=LookAtBuilds(composer, container.statuses(), container.metrics()),
        lease=min(container.settings().builds.start_lease, _CANCELLATION_LEASE),
    )


def create_reconcile(container: Container) -> ReconcileStarts:
    """The reconciler of abandoned starts."""
    builds = container.settings().builds
    # A composer client of its own, so that a composer that hangs costs requests no circuit breaker.
    composer = container.back_ends().composer_lookups
    return ReconcileStarts(
        abandoned_starts=container.abandoned_starts(),
        starts=container.starts(),
        keys=container.idempotency_keys(),
        composer=composer,
        fingerprints=container.fingerprints(),
        lease=builds.start_lease,
        # A pod that is alive renews its leadership in time; one that died is replaced soon.
        term=max(3 * builds.reconcile_interval, timedelta(seconds=1)),
        meter=container.metrics(),
        complete_cancellations=create_complete_cancellations(container, composer).complete_abandoned,
    )


def create_watch(container: Container) -> StatusWatcher:
    """The status watcher."""
    settings, statuses, meter = container.settings().statuses, container.statuses(), container.metrics()
    looks = LookAtBuilds(container.back_ends().composer_watch, statuses, meter)
    return StatusWatcher(statuses, looks, LookBudget(settings.looks_per_second, settings.looks_at_once), meter)


def create_policy_requirements(container: Container) -> PolicyRequirements:
    """What a compliance policy asks of an image."""
    return PolicyRequirements(compliance=container.back_ends().compliance, threads=container.lookup_threads())


def create_manage_blueprints(container: Container) -> ManageBlueprints:
    """Blueprints: create, read, update, delete, fix up."""
    return ManageBlueprints(
        blueprints=container.blueprints(),
        catalogue=container.catalogue(),
        requirements=container.policy_requirements(),
        hash_passwords=container.hash_passwords(),
    )
