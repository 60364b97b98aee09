"""Turn compose requests into the composer's: find out what they need to know, and build them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from domain.compose import build as building
from domain.compose import passwords
from domain.compose.customizations import as_given
from domain.compose.passwords import Salted
from domain.compose.request import ComposeRequest, Json
from domain.compose.snapshots import ContentSettings
from domain.compose.targets import UploadSettings
from domain.distributions import BootcImage, Catalogue, Distribution
from domain.identity import Identity
from domain.sharing import cache_by_identity
from image_builder.usecases.gather import Gather
from image_builder.usecases.passwords import salted


@dataclass(frozen=True, slots=True)
class Checked:
    """A request that is possible as far as the service can tell without asking anybody.

    `plain` are the passwords that have to be hashed, by the number of the user.
    """

    draft: building.Draft
    plain: Mapping[int, Salted]


@dataclass(frozen=True, slots=True)
class Prepare:
    """Starts nothing and counts nothing."""

    catalogue: Catalogue
    gather: Gather
    upload: UploadSettings
    content: ContentSettings

    def check(self, identity: Identity, requests: Sequence[ComposeRequest]) -> list[Checked]:
        """What needs no back-end: the parts of the composer's requests that depend on nothing else, checked.

        Requests with the same customizations, as the images of a blueprint have, share what is made of them.

        Raises InvalidRequestError and ForbiddenError.
        """
        plain = cache_by_identity(_plain_passwords)
        translate = cache_by_identity(partial(_translated, plain=plain))
        return [self._check(identity, request, translate, plain) for request in requests]

    def finish(self, identity: Identity, checked: Checked, blueprint_id: UUID | None = None) -> dict[str, Any]:
        """The composer's ComposeRequest; in the place of each plain password stands the beginning of its hash.

        `blueprint_id` names the blueprint that the build is of, if any.

        Raises InvalidRequestError, ForbiddenError and, where a back-end that is needed is away, UnavailableError.
        """
        draft = checked.draft
        request = draft.request
        findings = building.Findings(
            upload=self.upload,
            # Going through all distributions costs as much as the rest of the mapping: only snapshots ask for it.
            entitled=self.catalogue.entitled_to(entitled=identity.entitled) if request.image.has_snapshots else (),
            answers=self.gather(identity, request, draft.distribution),
            content=self.content,
        )
        return building.build(draft, findings, blueprint_id)

    def _check(
        self,
        identity: Identity,
        request: ComposeRequest,
        translate: Callable[[Json | None], Json | None],
        plain: Callable[[Json | None], Mapping[int, Salted]],
    ) -> Checked:
        distribution: Distribution | None = None
        bootc: tuple[BootcImage, ...] = ()
        if request.distribution is not None:
            distribution = self.catalogue.get_for(
                request.distribution, org_id=identity.tenant, entitled=identity.entitled
            )
            distribution.architecture(request.image.architecture)
        elif request.bootc is not None:
            bootc = self.catalogue.bootc_image(request.bootc.reference, entitled=identity.entitled)
        draft = building.begin(request, distribution, bootc, translate)
        return Checked(draft, plain(request.customizations))


def _translated(customizations: Json | None, plain: Callable[[Json | None], Mapping[int, Salted]]) -> Json | None:
    """The composer's customizations, as far as they depend on nothing else; without plain passwords."""
    given = as_given(customizations)
    to_hash = plain(customizations)
    if given is None or not to_hash:
        return given
    return {**given, "users": passwords.with_salts(given["users"], to_hash)}


def _plain_passwords(customizations: Json | None) -> Mapping[int, Salted]:
    return salted(passwords.to_hash((customizations or {}).get("users", ())))
