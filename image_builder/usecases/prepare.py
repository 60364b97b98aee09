"""Turn compose requests into composer requests: check them, look up dependencies, create the composer request."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from domain.compose import passwords
from domain.compose.build import find_lookup_faults, write_request
from domain.compose.checks import check_request, find_faults
from domain.compose.context import BuildContext
from domain.compose.customization_rules import find_violations, refuse_violations
from domain.compose.customizations import find_encoding_faults, translate_customizations
from domain.compose.lookups import Subject, create_questions, find_question_faults
from domain.compose.passwords import SaltedPassword
from domain.compose.paths import is_of_ostree
from domain.compose.problems import (
    Problem,
    create_error,
    describe_failed_lookup,
    find_address_problems,
    from_violation,
)
from domain.compose.request import ComposeRequest, Json
from domain.compose.snapshots import ContentSettings
from domain.compose.source import ImageSource, resolve_source
from domain.compose.targets import UploadSettings
from domain.distributions import Catalogue
from domain.errors import ForbiddenError, InvalidRequestError
from domain.identity import Identity
from domain.sharing import cache_by_identity
from image_builder.usecases.gather import GatherAnswers
from image_builder.usecases.passwords import salt_passwords


class _Translation(NamedTuple):
    """The composer's customizations with salts instead of plain passwords.

    `plain_passwords` are these passwords by the index of the user.
    """

    customizations: Json | None
    plain_passwords: Mapping[int, SaltedPassword]


class LookedUp(NamedTuple):
    """A context with the results of its lookups, and the problems that they show.

    `repositories_known` says whether the repositories of the image can be written.
    """

    context: BuildContext
    problems: tuple[Problem, ...]
    repositories_known: bool


@dataclass(frozen=True, slots=True)
class Prepare:
    """Prepares builds. It starts no build and does not change the usage of a quota."""

    catalogue: Catalogue
    gather: GatherAnswers
    upload: UploadSettings
    content: ContentSettings

    def check(
        self, identity: Identity, requests: Sequence[ComposeRequest], blueprint_id: UUID | None = None
    ) -> list[BuildContext]:
        """Check the requests as far as no back-end is needed; return their contexts, without lookup results.

        `blueprint_id` is the blueprint that the requests were created from, None for no blueprint. The images of a
        blueprint share one object with their customizations, which is translated once.

        Raises InvalidRequestError, and ForbiddenError if the allow list excludes the caller's organization from a
        distribution.
        """
        translate = cache_by_identity(_translate)
        refuse_violations_once = cache_by_identity(refuse_violations)
        contexts = [self._check_and_create_context(identity, each, translate, blueprint_id) for each in requests]
        for request in requests:
            refuse_violations_once(request.customizations, is_of_ostree(request.image.image_type))
        return contexts

    def find_problems(self, identity: Identity, request: ComposeRequest) -> Iterator[Problem]:
        """Yield a problem for each error that `check` would raise for this request, and for addresses that are no URLs.

        Raises ForbiddenError as `check` does.
        """
        customizations = request.customizations or {}
        violations = list(find_violations(customizations, of_ostree=is_of_ostree(request.image.image_type)))
        yield from map(from_violation, violations)
        yield from find_address_problems(customizations)
        try:
            source = resolve_source(request, self.catalogue, org_id=identity.tenant, entitled=identity.entitled)
        except InvalidRequestError as error:
            yield create_error("distribution" if isinstance(request.source, str) else "bootc", error.detail)
        else:
            for path, fault in (*find_faults(request, source), *find_question_faults(request, source)):
                yield create_error(path, fault.detail)
        for path, fault in find_encoding_faults(customizations):
            yield create_error(path, fault.detail)
        try:
            passwords.find_plain_passwords(customizations.get("users", ()))
        except InvalidRequestError as error:
            if error.detail not in {violation.detail for violation in violations}:
                yield create_error("customizations.users", error.detail)

    def create_context(self, identity: Identity, request: ComposeRequest, blueprint_id: UUID | None) -> BuildContext:
        """Return the context of a request whose image and upload target may have faults.

        Raises InvalidRequestError for other faults, and ForbiddenError as `check` does.
        """
        source = resolve_source(request, self.catalogue, org_id=identity.tenant, entitled=identity.entitled)
        return self._create_context(identity, request, source, _translate, blueprint_id)

    def look_up(self, identity: Identity, context: BuildContext) -> LookedUp:
        """Run the lookups, and return all problems that their results show.

        Raises ForbiddenError if a back-end refuses the caller.
        """
        gathered = self.gather.collect(identity, context.questions)
        context = context.with_answers(gathered.answers)
        for failure in gathered.failures:
            if isinstance(failure.error, ForbiddenError):
                raise failure.error
        unanswered = {failure.subject for failure in gathered.failures}
        faults = list(find_lookup_faults(context, unanswered))
        problems = [describe_failed_lookup(each.subject, each.error) for each in gathered.failures]
        problems += [create_error(fault.path, fault.error.detail) for fault in faults]
        known = Subject.REPOSITORIES not in {*unanswered, *(fault.subject for fault in faults)}
        return LookedUp(context, tuple(problems), known)

    def finish(self, identity: Identity, context: BuildContext) -> dict[str, Any]:
        """Run the lookups in back-ends, and return the composer's ComposeRequest.

        Instead of each plain password it has the beginning of its hash: crypt form and salt.

        Raises InvalidRequestError, ForbiddenError if a back-end refuses the caller, and UnavailableError if a required
        back-end gives no usable answer.
        """
        return write_request(context.with_answers(self.gather(identity, context.questions)))

    def _check_and_create_context(
        self,
        identity: Identity,
        request: ComposeRequest,
        translate: Callable[[Json | None], _Translation],
        blueprint_id: UUID | None,
    ) -> BuildContext:
        source = resolve_source(request, self.catalogue, org_id=identity.tenant, entitled=identity.entitled)
        check_request(request, source)
        return self._create_context(identity, request, source, translate, blueprint_id)

    def _create_context(
        self,
        identity: Identity,
        request: ComposeRequest,
        source: ImageSource,
        translate: Callable[[Json | None], _Translation],
        blueprint_id: UUID | None,
    ) -> BuildContext:
        translation = translate(request.customizations)
        return BuildContext(
            request=request,
            source=source,
            customizations=translation.customizations,
            plain_passwords=translation.plain_passwords,
            questions=create_questions(request, source),
            upload=self.upload,
            content=self.content,
            # Only images from snapshots need it: checking all distributions takes as long as the rest of the
            # preparation.
            entitled=self.catalogue.entitled_to(entitled=identity.entitled) if request.image.uses_snapshots else (),
            blueprint_id=blueprint_id,
        )


def _translate(customizations: Json | None) -> _Translation:
    translated = translate_customizations(customizations)
    if customizations is None or translated is None:
        return _Translation(None, {})
    plain = salt_passwords(passwords.find_plain_passwords(customizations.get("users", ())))
    if plain:
        translated["users"] = passwords.insert_salts(translated["users"], plain)
    return _Translation(translated, plain)
