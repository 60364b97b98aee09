"""Keep blueprints: in versions, within the rules, their passwords hashed (contract: /blueprints)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from domain.blueprints import policy, rules, secrets
from domain.blueprints.blueprint import (
    Blueprint,
    BlueprintsPage,
    BlueprintsQuery,
    NewBlueprint,
    Version,
    body_of,
    policy_of,
)
from domain.distributions import Catalogue, Distribution
from domain.errors import (
    ForbiddenError,
    ImageBuilderError,
    InvalidRequestError,
    NotFoundError,
    UnavailableError,
)
from domain.identity import Identity
from domain.paging import Page
from domain.policies import Misfit, PolicyMisfitError
from image_builder.usecases.passwords import HashPasswords, salted
from image_builder.usecases.policies import PolicyRequirements
from ports.deadline import until
from ports.memory import temporary_memory
from ports.store import Blueprints

# Seconds that a blueprint to be read may wait for its policy, and one to be saved.
_LINT_WITHIN: Final = 5.0
_SAVE_WITHIN: Final = 30.0


@dataclass(frozen=True, slots=True)
class ManageBlueprints:
    """A tenant's blueprints. All raise NotFoundError unless it is theirs, and UnavailableError."""

    blueprints: Blueprints
    catalogue: Catalogue
    requirements: PolicyRequirements
    hash_passwords: HashPasswords

    def list(self, identity: Identity, page: Page, name: str | None, search: str | None) -> BlueprintsPage:
        """A page of the tenant's blueprints; an empty `name` or `search` is none."""
        return self.blueprints.find_page(BlueprintsQuery(identity.tenant, page, name or None, search or None))

    def get(self, identity: Identity, blueprint_id: UUID, version: int | None) -> Blueprint:
        """A version, None for the latest."""
        return self.blueprints.get(identity.tenant, blueprint_id, version)

    def create(self, identity: Identity, document: Mapping[str, Any], key: UUID | None = None) -> UUID:
        """Keep a document that fits the contract's CreateBlueprintRequest as version 1.

        An Idempotency-Key that was claimed as `key` is settled with it.

        Raises RulesViolatedError, InvalidRequestError and, where a policy refuses the caller, ForbiddenError.
        """
        rules.check(document)
        asked = body_of(document)
        plain = secrets.plain_passwords(asked)
        snapshots = self._snapshots(identity, asked)
        body = secrets.without_empty(self._hashed(identity, asked, plain))
        return self.blueprints.create(
            NewBlueprint(
                tenant=identity.tenant,
                account_number=identity.account_number,
                name=document["name"],
                description=document.get("description", ""),
                body=body,
                metadata=document.get("metadata"),
                snapshots=snapshots,
            ),
            key,
        )

    def update(
        self, identity: Identity, blueprint_id: UUID, document: Mapping[str, Any], wanted: frozenset[int] | None
    ) -> int:
        """Keep a document as the next version, whose number it returns; users keep the secrets they do not say.

        `wanted` are the versions that the caller means to change, None for whichever there is. Raises as `create`
        does, and StaleVersionError.
        """
        rules.check(document)
        # Another tenant's blueprint makes this service ask no back-end.
        self.blueprints.latest_version(identity.tenant, blueprint_id)
        asked = body_of(document)
        plain = secrets.plain_passwords(asked)
        snapshots = self._snapshots(identity, asked)
        body = self._hashed(identity, asked, plain)

        def change(latest: Blueprint) -> Version:
            return Version(
                document["name"], document.get("description", ""), secrets.kept(body, latest.body), snapshots
            )

        return self.blueprints.change(identity.tenant, blueprint_id, wanted, change)

    def memory_to_update(self, identity: Identity, blueprint_id: UUID) -> int:
        """How many bytes of memory an update takes besides the new document."""
        return self.blueprints.memory_to_change(identity.tenant, blueprint_id)

    def delete(self, identity: Identity, blueprint_id: UUID, wanted: frozenset[int] | None) -> None:
        """Hide a blueprint and its builds, which keep counting. Raises StaleVersionError."""
        self.blueprints.delete(identity.tenant, blueprint_id, wanted)

    def lint(self, identity: Identity, blueprint: Blueprint) -> policy.Lint:
        """What to say of a blueprint that follows a policy. Never raises: a remark is not worth the blueprint."""
        policy_id, name = blueprint.policy_id, blueprint.distribution
        if policy_id is None or name is None:
            return policy.Lint()
        try:
            with until(_LINT_WITHIN):
                distribution = self._distribution(identity, name)
                required = self.requirements(identity, policy_id, distribution, create=False)
        except PolicyMisfitError as misfit:
            untold = misfit.misfit is Misfit.NO_TAILORING
            return policy.NO_DEFINITION if untold else policy.not_checked(misfit.detail)
        except ImageBuilderError as error:
            return policy.not_checked(error.detail)
        before = policy.required_when_saved(blueprint.snapshots, policy_id)
        return policy.lint(blueprint.customizations, required, before)

    def fixup(self, identity: Identity, blueprint_id: UUID) -> int:
        """Add what the policy asks for and the blueprint lacks, as the next version, whose number it returns.

        Raises InvalidRequestError for a blueprint of no distribution, or whose policy does not apply to it,
        NotFoundError where the policy has nothing for the minor version, and ForbiddenError.
        """
        with temporary_memory():  # the blueprint is read once more when it is changed
            blueprint = self.blueprints.get(identity.tenant, blueprint_id)
            policy_id, distribution = blueprint.policy_id, blueprint.distribution
            del blueprint
        if distribution is None:
            raise InvalidRequestError("The blueprint has no distribution to follow a policy for")
        required: dict[str, Any] = {}
        if policy_id is not None:
            try:
                required = self._required(identity, policy_id, distribution)
            except PolicyMisfitError as misfit:
                kind = NotFoundError if misfit.misfit is Misfit.NO_TAILORING else InvalidRequestError
                raise kind(misfit.detail) from None

        def change(latest: Blueprint) -> Version:
            if (latest.policy_id, latest.distribution) != (policy_id, distribution):
                raise UnavailableError("The blueprint has come to follow another policy meanwhile", retry_after=1)
            customizations = policy.fixed(latest.customizations, required)
            snapshots = None if latest.policy_id is None else policy.snapshots(latest.policy_id, required)
            return Version(
                latest.name, latest.description, {**latest.body, "customizations": customizations}, snapshots
            )

        return self.blueprints.change(identity.tenant, blueprint_id, None, change)

    def _hashed(self, identity: Identity, body: Mapping[str, Any], plain: Mapping[int, str]) -> dict[str, Any]:
        """The body with these passwords hashed. Raises UnavailableError where that takes too long."""
        with until(_SAVE_WITHIN):
            return secrets.with_hashes(body, self.hash_passwords(identity.tenant, salted(plain)))

    def _snapshots(self, identity: Identity, body: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """What the policy asks for today. Raises InvalidRequestError, ForbiddenError and UnavailableError."""
        policy_id, name = policy_of(body), body.get("distribution")
        if policy_id is None or name is None:
            return None
        try:
            return policy.snapshots(policy_id, self._required(identity, policy_id, name))
        except PolicyMisfitError as misfit:
            raise InvalidRequestError(misfit.detail) from None

    def _required(self, identity: Identity, policy_id: str, name: str) -> dict[str, Any]:
        with until(_SAVE_WITHIN):
            return self.requirements(identity, policy_id, self._distribution(identity, name), create=True)

    def _distribution(self, identity: Identity, name: str) -> Distribution:
        try:
            return self.catalogue.get_for(name, org_id=identity.tenant, entitled=identity.entitled)
        except (InvalidRequestError, ForbiddenError):
            raise InvalidRequestError(f"The distribution {name} of the blueprint is not available") from None
