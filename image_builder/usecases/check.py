"""Check compose requests without building anything (openapi.yaml, operations checkCompose and checkBlueprint)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final
from uuid import UUID

from domain.blueprints.composing import create_compose_requests
from domain.compose.context import BuildContext
from domain.compose.customization_rules import find_violations
from domain.compose.problems import (
    CheckedCustomization,
    Problem,
    ProblemCode,
    Severity,
    check_options,
    create_error,
    create_not_checked,
    explain_resolution,
    find_unsupported,
    from_violation,
)
from domain.compose.request import ComposeRequest, parse_compose_request
from domain.compose.resolution import write_resolution_request
from domain.compose.targets import translate_image_type
from domain.distributions import Distribution
from domain.errors import CheckFailedError, InvalidRequestError, NotFoundError, UnavailableError, Violation
from domain.identity import Identity
from domain.labels import NO_LABELS, Labels
from domain.quota import Allowance
from image_builder.fair_threads import FairThreads
from image_builder.usecases.concurrency import Call, run_concurrently
from image_builder.usecases.footprint import memory_of, most_memory_of
from image_builder.usecases.prepare import Prepare
from image_builder.usecases.quota import ShowQuota
from image_builder.usecases.resolve import ResolvePackages
from ports.composer import Composer
from ports.deadline import until
from ports.memory import require_memory
from ports.packages import PackageLists
from ports.shared_calls import SharedCalls
from ports.store import Blueprints

Json = Mapping[str, Any]

# Images of one blueprint that are checked at the same time: as many as one tenant's resolutions.
_AT_ONCE: Final = 2
# Seconds for which the supported options of an image type are kept.
_OPTIONS_VALID_FOR: Final = 300.0
_OPTIONS: Final = "supported_blueprint_options"


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
        return tuple(each for each in self.problems if each.severity is Severity.ERROR)


class SupportedOptions:
    """The customizations that image types support, as the composer says; its answers are shared for some minutes."""

    def __init__(self, composer: Composer) -> None:
        self._composer = composer
        self._shared = SharedCalls(self._fetch, valid_for=_OPTIONS_VALID_FOR)

    def find(self, distribution: str, image_type: str, architecture: str) -> Sequence[str] | None:
        """Return the paths of osbuild's blueprint that the image type supports; None if they cannot be learnt."""
        try:
            return self._shared((distribution, image_type, architecture)) or None
        except (UnavailableError, NotFoundError):
            return None

    def _fetch(self, key: tuple[str, str, str]) -> tuple[str, ...]:
        distribution, image_type, architecture = key
        details = self._composer.distribution(distribution, [image_type], [architecture])
        found = details.get("architectures", {}).get(architecture, {}).get("image_types")
        for each in found.values() if isinstance(found, dict) else ():
            options = each.get(_OPTIONS) if isinstance(each, dict) else None
            return tuple(option for option in options or () if isinstance(option, str))
        return ()


@dataclass(frozen=True, slots=True)
class CheckComposes:
    """Checks compose requests: the checks of StartComposes, supported options, and the resolution of packages.

    `find_schema_errors` returns path and message of each error of a document by the schema ComposeRequest; `completed`
    adds defaults to a valid one. `deadline` is in seconds.
    """

    prepare: Prepare
    resolve: ResolvePackages
    options: SupportedOptions
    lists: PackageLists
    show_quota: ShowQuota
    blueprints: Blueprints
    find_schema_errors: Callable[[Any], Sequence[tuple[str, str]]]
    completed: Callable[[Json], Json]
    threads: FairThreads
    deadline: float

    def __call__(self, identity: Identity, documents: Sequence[Json], blueprint_id: UUID | None = None) -> CheckResult:
        """Check these documents. Nothing is stored, reserved or built.

        `blueprint_id` is the blueprint that the documents come from, None for no blueprint.

        Raises ForbiddenError as StartComposes does, RateLimitedError if the tenant has too many resolutions running,
        ConfigurationError if no quota applies to the tenant, and UnavailableError if the database is unavailable.
        """
        with until(self.deadline):
            checks = [
                partial(self._check, identity, document, index, blueprint_id)
                for index, document in enumerate(documents)
            ]
            results = run_concurrently(self.threads, identity.tenant, checks, at_once=_AT_ONCE)
            quota = self.show_quota(identity)
        problems = [problem for found, _ in results for problem in found]
        if quota is not None and quota.remaining < len(documents):
            problems.append(
                create_error("", f"The quota allows {quota.remaining} more builds now", ProblemCode.QUOTA_EXCEEDED)
            )
        images = tuple(image for _, image in results if image is not None)
        return CheckResult(tuple(dict.fromkeys(problems)), images, quota)

    def refuse_problems(self, identity: Identity, documents: Sequence[Json], blueprint_id: UUID | None = None) -> None:
        """Raise CheckFailedError if a check finds errors, except for the quota, which the start of the builds checks.

        Raises also the errors of `__call__`.
        """
        errors = [
            Violation(each.code, f"{each.path}: {_describe(each)}" if each.path else _describe(each))
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

    def _check(
        self, identity: Identity, document: Json, index: int, blueprint_id: UUID | None
    ) -> tuple[list[Problem], CheckedImage | None]:
        errors = self.find_schema_errors(document)
        problems = [create_error(path, message, ProblemCode.INVALID_VALUE) for path, message in errors]
        image = None
        if problems:
            customizations = document.get("customizations")
            if isinstance(customizations, Mapping):
                problems.extend(map(from_violation, find_violations(customizations, of_ostree=False)))
        else:
            try:
                request = parse_compose_request(self.completed(document))
            except InvalidRequestError as error:
                problems.append(create_error("", error.detail))
            else:
                problems, image = self._check_request(identity, request, blueprint_id)
        return _move_to_image(problems, index), image

    def _check_request(
        self, identity: Identity, request: ComposeRequest, blueprint_id: UUID | None
    ) -> tuple[list[Problem], CheckedImage]:
        problems = list(self.prepare.find_problems(identity, request))
        image = CheckedImage(request.image.image_type, request.image.architecture)
        if problems:
            # The request for the composer cannot be written, so there is nothing to resolve.
            problems.append(create_not_checked("customizations.packages", "Correct the other problems first"))
            return problems, image
        (context,) = self.prepare.check(identity, [request], blueprint_id)
        calls: list[Call] = [partial(self._write, identity, context), partial(self._find_options, context)]
        written, supported = run_concurrently(self.threads, identity.tenant, calls)
        customizations: list[CheckedCustomization] = []
        if supported is None:
            problems.append(create_not_checked("customizations", "The supported customizations are not known now"))
        else:
            customizations = check_options(request.customizations or {}, supported)
            problems.extend(find_unsupported(customizations, image.image_type))
        if isinstance(written, Problem):
            return [*problems, written], CheckedImage(image.image_type, image.architecture, None, customizations)
        packages, found = self._resolve(identity, context, written)
        return [*problems, *found], CheckedImage(
            image.image_type, image.architecture, packages, customizations, written
        )

    def _write(self, identity: Identity, context: BuildContext) -> dict[str, Any] | Problem:
        """Return the composer's request, or the problem that prevents it."""
        try:
            return self.prepare.finish(identity, context)
        except InvalidRequestError as error:
            return create_error("", error.detail)
        except UnavailableError as error:
            return create_not_checked("", error.detail)

    def _find_options(self, context: BuildContext) -> Sequence[str] | None:
        source, image = context.source, context.request.image
        if not isinstance(source, Distribution):
            return None
        return self.options.find(source.composer_distribution, translate_image_type(image), image.architecture)

    def _resolve(
        self, identity: Identity, context: BuildContext, composer_request: Json
    ) -> tuple[Sequence[Json] | None, list[Problem]]:
        request = write_resolution_request(composer_request)
        if request is None or not isinstance(context.source, Distribution):
            return None, [create_not_checked("bootc", "The packages of bootable containers are not resolved")]
        try:
            resolution = self.resolve(identity.tenant, request)
        except UnavailableError as error:
            return None, [create_not_checked("customizations.packages", error.detail)]
        if resolution.error is None:
            return resolution.packages, []
        find_similar = partial(self.lists.find_similar, context.source, context.request.image.architecture)
        packages = context.request.get_customization("packages", ())
        return None, list(explain_resolution(resolution.error, packages, find_similar))


def _describe(problem: Problem) -> str:
    if not problem.suggestions:
        return problem.message
    return f"{problem.message} (similar: {', '.join(problem.suggestions)})"


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
