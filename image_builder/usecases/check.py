"""Check compose requests without building anything (openapi.yaml, operations checkCompose and checkBlueprint)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final
from uuid import UUID

from domain.blueprints.composing import create_compose_requests
from domain.compose.build import write_request
from domain.compose.problems import (
    CheckedCustomization,
    Problem,
    ProblemCode,
    check_options,
    create_error,
    create_not_checked,
    explain_resolution,
    find_unsupported,
    list_errors,
)
from domain.compose.resolution import write_resolution_request
from domain.compose.targets import translate_image_type
from domain.distributions import Distribution
from domain.errors import CheckFailedError, InvalidRequestError, NotFoundError, UnavailableError, Violation
from domain.identity import Identity
from domain.labels import NO_LABELS, Labels
from domain.quota import Allowance
from image_builder.fair_threads import FairThreads
from image_builder.usecases.concurrency import Call, run_concurrently
from image_builder.usecases.examine import Examined, ExamineRequests
from image_builder.usecases.footprint import memory_of, most_memory_of
from image_builder.usecases.prepare import LookedUp, Prepare
from image_builder.usecases.quota import ShowQuota
from image_builder.usecases.resolve import ResolvePackages
from ports.composer import Composer
from ports.deadline import until
from ports.memory import require_memory
from ports.packages import PackageLists
from ports.shared_calls import SharedCalls
from ports.store import Blueprints

Json = Mapping[str, Any]

# Images of one blueprint whose packages are resolved at the same time: as many as one tenant's resolutions.
_AT_ONCE: Final = 2
# Seconds for which the supported options of an image type are kept.
_OPTIONS_VALID_FOR: Final = 300.0
_OPTIONS: Final = "supported_blueprint_options"
_PACKAGES: Final = "customizations.packages"
# The parts of a request without which the result of a resolution could be wrong.
_NEEDED_BY_RESOLUTION: Final = frozenset(
    {"packages", "enabled_modules", "payload_repositories", "custom_repositories", "snapshot_date", "content_template"}
)


@dataclass(frozen=True, slots=True)
class CheckedImage:
    """What is known of one image; `packages` are None if they were not resolved.

    `composer_request` may hold secrets; None if the request cannot be written.
    """

    image_type: str
    architecture: str
    packages: Sequence[Json] | None = None
    customizations: Sequence[CheckedCustomization] = ()
    composer_request: Json | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """All problems, the images that could be looked at, and the quota; None for an unlimited tenant."""

    problems: tuple[Problem, ...]
    images: tuple[CheckedImage, ...]
    quota: Allowance | None

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that prevent the build."""
        return list_errors(self.problems)


class SupportedOptions:
    """The customizations that image types support, as the composer says; its answers are shared for some minutes."""

    def __init__(self, composer: Composer) -> None:
        self._composer = composer
        self._shared = SharedCalls(self._fetch, valid_for=_OPTIONS_VALID_FOR)

    def find(self, distribution: str, image_type: str, architecture: str) -> Sequence[str] | None:
        """Return the paths of osbuild's blueprint that the image type supports; None if they cannot be learnt."""
        try:
            return self._shared((distribution, image_type, architecture))
        except (UnavailableError, NotFoundError):
            return None

    def _fetch(self, key: tuple[str, str, str]) -> tuple[str, ...]:
        distribution, image_type, architecture = key
        details = self._composer.distribution(distribution, [image_type], [architecture])
        found = details.get("architectures", {}).get(architecture, {}).get("image_types")
        for each in found.values() if isinstance(found, dict) else ():
            options = each.get(_OPTIONS) if isinstance(each, dict) else None
            if isinstance(options, list) and options:
                return tuple(option for option in options if isinstance(option, str))
        raise UnavailableError("The composer does not name the supported options")


@dataclass(slots=True)
class _Check:
    """The check of one image while it runs: each call writes fields of its own."""

    examined: Examined
    looked_up: LookedUp | None = None
    composer_request: Json | None = field(default=None, repr=False)
    customizations: Sequence[CheckedCustomization] = ()
    packages: Sequence[Json] | None = None
    of_lookups: list[Problem] = field(default_factory=list)
    of_options: list[Problem] = field(default_factory=list)
    of_resolution: list[Problem] = field(default_factory=list)

    @property
    def problems(self) -> list[Problem]:
        """All problems, those that need no back-end first."""
        return [*self.examined.problems, *self.of_lookups, *self.of_options, *self.of_resolution]

    @property
    def image(self) -> CheckedImage | None:
        """The image; None if the request does not name its type and architecture."""
        image = self.examined.image
        if image is None:
            return None
        return CheckedImage(
            image.image_type, image.architecture, self.packages, self.customizations, self.composer_request
        )


@dataclass(frozen=True, slots=True)
class CheckComposes:
    """Checks compose requests: the checks of StartComposes, supported options, and the resolution of packages.

    `deadline` is in seconds.
    """

    prepare: Prepare
    examine: ExamineRequests
    resolve: ResolvePackages
    options: SupportedOptions
    lists: PackageLists
    show_quota: ShowQuota
    blueprints: Blueprints
    threads: FairThreads
    deadline: float

    def __call__(self, identity: Identity, documents: Sequence[Json], blueprint_id: UUID | None = None) -> CheckResult:
        """Check these documents. Nothing is stored, reserved or built.

        `blueprint_id` is the blueprint that the documents come from, None for no blueprint.

        Raises ForbiddenError as StartComposes does, RateLimitedError if the tenant has too many resolutions running,
        ConfigurationError if no quota applies to the tenant, and UnavailableError if the database is unavailable.
        """
        quota = self.show_quota(identity)
        with until(self.deadline):
            checks = [_Check(self.examine(identity, document, blueprint_id)) for document in documents]
            calls: list[Call] = [partial(self._look_up_and_resolve, identity, checks)]
            calls += [partial(self._check_options, check) for check in checks]
            run_concurrently(self.threads, identity.tenant, calls)
        problems = [each for index, check in enumerate(checks) for each in _move_to_image(check.problems, index)]
        if quota is not None and quota.remaining < len(documents):
            problems.append(
                create_error("", f"The quota allows {quota.remaining} more builds now", ProblemCode.QUOTA_EXCEEDED)
            )
        images = tuple(image for check in checks if (image := check.image) is not None)
        return CheckResult(tuple(dict.fromkeys(problems)), images, quota)

    def refuse_problems(self, identity: Identity, documents: Sequence[Json], blueprint_id: UUID | None = None) -> None:
        """Raise CheckFailedError if a check finds errors, except for the quota, which the start of the builds checks.

        Raises also the errors of `__call__`.
        """
        errors = [
            Violation(each.code, _describe(each))
            for each in self(identity, documents, blueprint_id).errors
            if each.code != ProblemCode.QUOTA_EXCEEDED
        ]
        if errors:
            raise CheckFailedError(errors)

    def of_blueprint(
        self,
        identity: Identity,
        blueprint_id: UUID,
        client_id: str,
        image_types: Sequence[str] | None,
        labels: Labels = NO_LABELS,
    ) -> CheckResult:
        """Check the images of a blueprint's latest version that BuildBlueprint would build with these arguments.

        Raises NotFoundError for a blueprint that is not the tenant's, and the errors of `__call__`.
        """
        blueprint = self.blueprints.get(identity.tenant, blueprint_id, needed=most_memory_of)
        try:
            documents = create_compose_requests(blueprint, client_id, image_types, labels)
        except InvalidRequestError as error:
            return CheckResult((create_error("", error.detail),), (), self.show_quota(identity))
        require_memory(memory_of(documents))
        return self(identity, documents, blueprint_id)

    def _look_up_and_resolve(self, identity: Identity, checks: Sequence[_Check]) -> None:
        # As many waits as the start of a build has: the resolution takes the place of the submission.
        lookups: list[Call] = [partial(self._look_up, identity, check) for check in checks]
        run_concurrently(self.threads, identity.tenant, lookups)
        resolutions: list[Call] = [partial(self._resolve, identity, check) for check in checks]
        run_concurrently(self.threads, identity.tenant, resolutions, at_once=_AT_ONCE)

    def _look_up(self, identity: Identity, check: _Check) -> None:
        if check.examined.context is None:
            return
        looked_up = check.looked_up = self.prepare.look_up(identity, check.examined.context)
        check.of_lookups = list(looked_up.problems)
        if not check.examined.is_sound or looked_up.problems:
            return
        try:
            check.composer_request = write_request(looked_up.context)
        except InvalidRequestError as error:
            check.of_lookups = [create_error("customizations", error.detail)]

    def _check_options(self, check: _Check) -> None:
        context = check.examined.context
        if context is None:
            return
        source, image = context.source, context.request.image
        try:
            image_type = translate_image_type(image)
        except InvalidRequestError:
            return  # the target does not accept the type, which is reported already
        supported = None
        if isinstance(source, Distribution):
            supported = self.options.find(source.composer_distribution, image_type, image.architecture)
        if supported is None:
            check.of_options = [create_not_checked("customizations", "The supported customizations are not known now")]
        else:
            check.customizations = check_options(check.examined.customizations, supported)
            check.of_options = list(find_unsupported(check.customizations, image.image_type))

    def _resolve(self, identity: Identity, check: _Check) -> None:
        looked_up, removed = check.looked_up, check.examined.removed
        if looked_up is None or not looked_up.repositories_known or removed & _NEEDED_BY_RESOLUTION:
            check.of_resolution = [create_not_checked(_PACKAGES, "Correct the other problems first")]
            return
        context = looked_up.context
        try:
            request = write_resolution_request(context)
            if request is None or not isinstance(context.source, Distribution):
                check.of_resolution = [
                    create_not_checked("bootc", "The packages of bootable containers are not resolved")
                ]
                return
            resolution = self.resolve(identity.tenant, request)
        except (InvalidRequestError, UnavailableError) as error:
            check.of_resolution = [create_not_checked(_PACKAGES, error.detail)]
            return
        if resolution.error is None:
            check.packages = resolution.packages
            return
        find_similar = partial(self.lists.find_similar, context.source, context.request.image.architecture)
        packages = context.request.get_customization("packages", ())
        check.of_resolution = list(explain_resolution(resolution.error, packages, find_similar))


def _describe(problem: Problem) -> str:
    # Some messages begin with the path of the field themselves.
    path = "" if not problem.path or problem.message.startswith(problem.path) else f"{problem.path}: "
    similar = f" (similar: {', '.join(problem.suggestions)})" if problem.suggestions else ""
    return f"{path}{problem.message}{similar}"


def _move_to_image(problems: Iterable[Problem], index: int) -> list[Problem]:
    """The problems with paths that name the image request `index` of a blueprint instead of the first one."""
    return [
        Problem(
            each.path.replace("image_requests[0]", f"image_requests[{index}]", 1),
            each.code,
            each.severity,
            each.message,
            each.suggestions,
        )
        for each in problems
    ]
