"""Examine a compose request as far as no back-end is needed, and find the part of it that can be checked further."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from domain.compose.context import BuildContext
from domain.compose.customization_rules import find_violations
from domain.compose.problems import Problem, ProblemCode, create_error, from_violation, list_errors
from domain.compose.request import ComposeRequest, ImageRequest, find_request_faults, parse_compose_request
from domain.compose.sound_parts import remove_parts
from domain.errors import InvalidRequestError
from domain.identity import Identity
from image_builder.usecases.prepare import Prepare

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Examined:
    """What is known of a request without any back-end.

    `context` is that of the request without its `removed` parts, which have problems; None if the request cannot be
    checked further. `image` is None for a request whose image cannot be read.
    """

    problems: tuple[Problem, ...]
    image: ImageRequest | None = None
    context: BuildContext | None = None
    removed: frozenset[str] = frozenset()
    customizations: Json = field(default_factory=dict, repr=False)

    @property
    def is_sound(self) -> bool:
        """Whether the request has no error so far."""
        return not list_errors(self.problems)


@dataclass(frozen=True, slots=True)
class ExamineRequests:
    """Examines documents that may be invalid by the schema ComposeRequest of openapi.yaml.

    `find_schema_errors` returns path and message of each error of a document; `completed` adds defaults to a valid one.
    """

    prepare: Prepare
    find_schema_errors: Callable[[Any], Sequence[tuple[str, str]]]
    completed: Callable[[Json], Json]

    def __call__(self, identity: Identity, document: Json, blueprint_id: UUID | None) -> Examined:
        """Return all problems of a document that can be found without a back-end.

        Raises ForbiddenError if the allow list excludes the caller's organization from the distribution.
        """
        errors = self.find_schema_errors(document)
        if not errors:
            return self._examine_valid(identity, document, (), frozenset(), blueprint_id)
        problems = tuple(create_error(path, message, ProblemCode.INVALID_VALUE) for path, message in errors)
        sound, removed = remove_parts(document, [path for path, _ in errors])
        if self.find_schema_errors(sound):
            return Examined((*problems, *_find_violations(sound)))
        return self._examine_valid(identity, sound, problems, removed, blueprint_id)

    def _examine_valid(
        self,
        identity: Identity,
        document: Json,
        problems: tuple[Problem, ...],
        removed: frozenset[str],
        blueprint_id: UUID | None,
    ) -> Examined:
        document = self.completed(document)
        faults = list(find_request_faults(document))
        if faults:
            problems = (*problems, *(create_error(path, error.detail) for path, error in faults))
            document, removed_too = remove_parts(document, [path for path, _ in faults])
            removed |= removed_too
        try:
            request = parse_compose_request(document)
        except InvalidRequestError:  # the source, which is reported already
            return Examined((*problems, *_find_violations(document)))
        found = tuple(self.prepare.find_problems(identity, request))
        errors = list_errors(found)
        sound = request
        if errors:
            document, removed_too = remove_parts(document, [problem.path for problem in errors])
            sound, removed = parse_compose_request(document), removed | removed_too
        context = self._create_context(identity, sound, blueprint_id)
        return Examined((*problems, *found), request.image, context, removed, request.customizations or {})

    def _create_context(
        self, identity: Identity, request: ComposeRequest, blueprint_id: UUID | None
    ) -> BuildContext | None:
        try:
            return self.prepare.create_context(identity, request, blueprint_id)
        except InvalidRequestError:
            return None


def _find_violations(document: Json) -> tuple[Problem, ...]:
    """The rules of osbuild that the customizations break, whose other parts may be invalid."""
    customizations = document.get("customizations")
    if not isinstance(customizations, Mapping):
        return ()
    return tuple(map(from_violation, find_violations(customizations, of_ostree=False)))
