"""Turn compose requests into the composer's: check them, ask back-ends, write the composer's request."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from domain.compose import passwords
from domain.compose.build import write_request
from domain.compose.checks import check_request
from domain.compose.context import BuildContext
from domain.compose.customization_rules import refuse_violations
from domain.compose.customizations import translate_customizations
from domain.compose.lookups import create_questions
from domain.compose.passwords import SaltedPassword
from domain.compose.paths import is_of_ostree
from domain.compose.request import ComposeRequest, Json
from domain.compose.snapshots import ContentSettings
from domain.compose.source import resolve_source
from domain.compose.targets import UploadSettings
from domain.distributions import Catalogue
from domain.identity import Identity
from domain.sharing import cache_by_identity
from image_builder.usecases.gather import Gather
from image_builder.usecases.passwords import salt_passwords


class _Translation(NamedTuple):
    """The composer's customizations with salts instead of plain passwords, and these by the index of the user."""

    customizations: Json | None
    plain_passwords: Mapping[int, SaltedPassword]


@dataclass(frozen=True, slots=True)
class Prepare:
    """Prepares builds: starts none, and does not touch the quota."""

    catalogue: Catalogue
    gather: Gather
    upload: UploadSettings
    content: ContentSettings

    def check(
        self, identity: Identity, requests: Sequence[ComposeRequest], blueprint_id: UUID | None = None
    ) -> list[BuildContext]:
        """Check the requests as far as no back-end is needed, and create their contexts, without answers.

        `blueprint_id` is the blueprint that the builds are of, if any. The images of a blueprint share one object with
        their customizations; it is translated once.

        Raises InvalidRequestError, and ForbiddenError for a distribution that the allow list keeps from the caller.
        """
        translate = cache_by_identity(_translate)
        refuse_violations_once = cache_by_identity(refuse_violations)
        contexts = [self._create_context(identity, request, translate, blueprint_id) for request in requests]
        for request in requests:
            refuse_violations_once(request.customizations, is_of_ostree(request.image.image_type))
        return contexts

    def finish(self, identity: Identity, context: BuildContext) -> dict[str, Any]:
        """Ask the back-ends, and write the composer's ComposeRequest.

        Plain passwords are replaced by the crypt form and salt that their hashes will begin with.

        Raises InvalidRequestError, ForbiddenError where a back-end refuses the caller, and UnavailableError where a
        back-end that is needed gives no usable answer.
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
            # Going through all distributions costs as much as the rest of the preparation.
            entitled=self.catalogue.entitled_to(entitled=identity.entitled) if request.image.has_snapshots else (),
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
