"""Turn compose requests into composer requests: check them, look up dependencies, create the composer request."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from domain.compose import passwords
from domain.compose.build import write_request
from domain.compose.checks import check_request, find_faults
from domain.compose.context import BuildContext
from domain.compose.customization_rules import find_violations, refuse_violations
from domain.compose.customizations import translate_customizations
from domain.compose.lookups import create_questions
from domain.compose.passwords import SaltedPassword
from domain.compose.paths import is_of_ostree
from domain.compose.problems import Problem, create_error, from_violation
from domain.compose.request import ComposeRequest, Json
from domain.compose.snapshots import ContentSettings
from domain.compose.source import ImageSource, resolve_source
from domain.compose.targets import UploadSettings
from domain.distributions import Catalogue
from domain.errors import InvalidRequestError
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
        contexts = [self._create_context(identity, request, translate, blueprint_id) for request in requests]
        for request in requests:
            refuse_violations_once(request.customizations, is_of_ostree(request.image.image_type))
        return contexts

    def find_problems(self, identity: Identity, request: ComposeRequest) -> Iterator[Problem]:
        """Yield a problem for each error that `check` would raise for this request.

        Raises ForbiddenError as `check` does.
        """
        try:
            source = resolve_source(request, self.catalogue, org_id=identity.tenant, entitled=identity.entitled)
        except InvalidRequestError as error:
            yield create_error("distribution", error.detail)
        else:
            yield from self._find_faults(identity, request, source)
        of_ostree = is_of_ostree(request.image.image_type)
        yield from map(from_violation, find_violations(request.customizations or {}, of_ostree=of_ostree))

    def _find_faults(self, identity: Identity, request: ComposeRequest, source: ImageSource) -> Iterator[Problem]:
        found = [create_error(path, error.detail) for path, error in find_faults(request, source)]
        yield from found
        if not found:  # the translation stops at its first fault, which then is a further one
            try:
                self._create_context(identity, request, _translate, None)
            except InvalidRequestError as error:
                yield create_error("customizations", error.detail)

    def finish(self, identity: Identity, context: BuildContext) -> dict[str, Any]:
        """Run the lookups in back-ends, and return the composer's ComposeRequest.

        Instead of each plain password it has the beginning of its hash: crypt form and salt.

        Raises InvalidRequestError, ForbiddenError if a back-end refuses the caller, and UnavailableError if a required
        back-end gives no usable answer.
        """
        return write_request(context.with_answers(self.gather(identity, context.questions)))

    def _create_context(
        self,
        identity: Identity,
        request: ComposeRequest,
        translate: Callable[[Json | None], _Translation],
        blueprint_id: UUID | None,
    ) -> BuildContext:
        source = resolve_source(request, self.catalogue, org_id=identity.tenant, entitled=identity.entitled)
        check_request(request, source)
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
