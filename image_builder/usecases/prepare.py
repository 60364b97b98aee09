"""Turn a compose request into the composer's: find out what it needs to know, and build it (spec: compose mapping)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from domain.compose import build as building
from domain.compose import passwords
from domain.compose.request import ComposeRequest
from domain.compose.snapshots import ContentSettings
from domain.compose.targets import UploadSettings
from domain.distributions import BootcImage, Catalogue, Distribution
from domain.identity import Identity
from image_builder.usecases.gather import Gather
from ports.world import PasswordHasher


@dataclass(frozen=True, slots=True)
class Prepare:
    """Starts nothing and counts nothing."""

    catalogue: Catalogue
    gather: Gather
    upload: UploadSettings
    content: ContentSettings
    hasher: PasswordHasher

    def __call__(self, identity: Identity, request: ComposeRequest) -> dict[str, Any]:
        """The composer's ComposeRequest.

        Raises InvalidRequestError, ForbiddenError and, where a back-end that is needed is away, UnavailableError.
        """
        distribution: Distribution | None = None
        bootc: tuple[BootcImage, ...] = ()
        if request.distribution is not None:
            distribution = self.catalogue.get_for(
                request.distribution, org_id=identity.tenant, entitled=identity.entitled
            )
            distribution.architecture(request.image.architecture)
        elif request.bootc is not None:
            bootc = self.catalogue.bootc_image(request.bootc.reference, entitled=identity.entitled)
        draft = building.begin(request, distribution, bootc)
        plain = passwords.to_hash((request.customizations or {}).get("users", ()))
        findings = building.Findings(
            upload=self.upload,
            # Going through all distributions costs as much as the rest of the mapping: only snapshots ask for it.
            entitled=self.catalogue.entitled_to(entitled=identity.entitled) if request.image.has_snapshots else (),
            answers=self.gather(identity, request, distribution),
            content=self.content,
        )
        composer_request = building.build(draft, findings)
        return passwords.with_hashes(composer_request, {user: self.hasher(text) for user, text in plain.items()})
