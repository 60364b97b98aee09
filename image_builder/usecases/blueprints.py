"""Store blueprints in versions, with checked rules and hashed passwords (openapi.yaml, operations on /blueprints)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from domain.applicability import Inapplicability, PolicyNotApplicableError
from domain.blueprints import rules, secrets
from domain.blueprints.blueprint import (
    Blueprint,
    BlueprintsPage,
    BlueprintsQuery,
    NewBlueprint,
    Version,
    extract_body,
    find_policy_id,
)
from domain.blueprints.lint import (
    NO_DEFINITION,
    Lint,
    add_requirements,
    create_service_snapshots,
    lint_customizations,
    read_saved_requirements,
    report_unchecked,
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
from image_builder.usecases.passwords import HashPasswords, salt_passwords
from image_builder.usecases.requirements import PolicyRequirements
from ports.deadline import until
from ports.memory import temporary_memory
from ports.store import Blueprints

# Seconds that reading a blueprint waits for its policy, and that saving one does.
_LINT_WITHIN: Final = 5.0
_SAVE_WITHIN: Final = 30.0


@dataclass(frozen=True, slots=True)
class ManageBlueprints:
    """Operations on a tenant's blueprints.

    All raise NotFoundError for a blueprint that is not the tenant's, and UnavailableError where the database is away.
    """

    blueprints: Blueprints
    catalogue: Catalogue
    requirements: PolicyRequirements
    hash_passwords: HashPasswords

    def list(self, query: BlueprintsQuery) -> BlueprintsPage:
        """A page of a tenant's blueprints. Raises InvalidRequestError for a cursor that no link of the list had."""
        return self.blueprints.find_page(query)

    def get(self, identity: Identity, blueprint_id: UUID, version: int | None) -> Blueprint:
        """One version of a blueprint; None is the latest."""
        return self.blueprints.get(identity.tenant, blueprint_id, version)

    def create(self, identity: Identity, document: Mapping[str, Any], key: UUID | None = None) -> UUID:
        """Store a valid CreateBlueprintRequest (openapi.yaml) as version 1 of a blueprint, and return its id.

        `key` is the claimed Idempotency-Key of the request; storing the blueprint settles it.

        Raises RulesViolatedError, InvalidRequestError, and ForbiddenError where compliance refuses the caller.
        """
        rules.check(document)
        requested = extract_body(document)
        plain = secrets.find_plain_passwords(requested)
        snapshots = self._create_snapshots(identity, requested)
        body = secrets.drop_empty_secrets(self._hash_passwords(identity, requested, plain))
        return self.blueprints.create(
            NewBlueprint(
                tenant=identity.tenant,
                account_number=identity.account_number,
                name=document["name"],
                description=document.get("description", ""),
                body=body,
                metadata=document.get("metadata"),
                snapshots=snapshots,
                created_by=identity.username,
            ),
            key,
        )

    def update(
        self, identity: Identity, blueprint_id: UUID, document: Mapping[str, Any], wanted: frozenset[int] | None
    ) -> int:
        """Store a valid CreateBlueprintRequest (openapi.yaml) as the next version, and return the version's number.

        Users for whom the document gives no password or key keep those of the latest version. `wanted` are the versions
        that the caller allows to be replaced (If-Match); None allows every version.

        Raises as `create` does, and StaleVersionError where the latest version is not among `wanted`.
        """
        rules.check(document)
        # Refuses another tenant's blueprint before any back-end is asked.
        self.blueprints.latest_version(identity.tenant, blueprint_id)
        requested = extract_body(document)
        plain = secrets.find_plain_passwords(requested)
        snapshots = self._create_snapshots(identity, requested)
        body = self._hash_passwords(identity, requested, plain)

        def change(latest: Blueprint) -> Version:
            return Version(
                document["name"],
                document.get("description", ""),
                secrets.carry_over_secrets(body, latest.body),
                snapshots,
                identity.username,
            )

        return self.blueprints.change(identity.tenant, blueprint_id, wanted, change)

    def memory_to_update(self, identity: Identity, blueprint_id: UUID) -> int:
        """How many bytes of memory an update takes besides the new document."""
        return self.blueprints.memory_to_change(identity.tenant, blueprint_id)

    def delete(self, identity: Identity, blueprint_id: UUID, wanted: frozenset[int] | None) -> None:
        """Hide a blueprint and its builds; the builds still count towards the quota.

        Raises StaleVersionError where the latest version is not among `wanted` (see `update`).
        """
        self.blueprints.delete(identity.tenant, blueprint_id, wanted)

    def lint(self, identity: Identity, blueprint: Blueprint) -> Lint:
        """The remarks about a blueprint that follows a policy.

        Raises no error: a blueprint can be read while its policy cannot be looked up.
        """
        policy_id, name = blueprint.policy_id, blueprint.distribution
        if policy_id is None or name is None:
            return Lint()
        try:
            with until(_LINT_WITHIN):
                distribution = self._find_distribution(identity, name)
                required = self.requirements(identity, policy_id, distribution, create=False)
        except PolicyNotApplicableError as error:
            undefined = error.reason is Inapplicability.NO_TAILORING
            return NO_DEFINITION if undefined else report_unchecked(error.detail)
        except ImageBuilderError as error:
            return report_unchecked(error.detail)
        before = read_saved_requirements(blueprint.snapshots, policy_id)
        return lint_customizations(blueprint.customizations, required, before)

    def fixup(self, identity: Identity, blueprint_id: UUID) -> int:
        """Store the blueprint with all requirements of its policy as the next version, and return the version's number.

        Raises InvalidRequestError for a blueprint without a distribution, or whose policy does not apply to it,
        NotFoundError where the policy has no tailoring for the minor version, and ForbiddenError where compliance
        refuses the caller.
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
                required = self._find_requirements(identity, policy_id, distribution)
            except PolicyNotApplicableError as error:
                kind = NotFoundError if error.reason is Inapplicability.NO_TAILORING else InvalidRequestError
                raise kind(error.detail) from None

        def change(latest: Blueprint) -> Version:
            if (latest.policy_id, latest.distribution) != (policy_id, distribution):
                raise UnavailableError(
                    "The policy changed while the blueprint was being fixed; try again", retry_after=1
                )
            customizations = add_requirements(latest.customizations, required)
            snapshots = None if latest.policy_id is None else create_service_snapshots(latest.policy_id, required)
            return Version(
                latest.name,
                latest.description,
                {**latest.body, "customizations": customizations},
                snapshots,
                identity.username,
            )

        return self.blueprints.change(identity.tenant, blueprint_id, None, change)

    def _hash_passwords(self, identity: Identity, body: Mapping[str, Any], plain: Mapping[int, str]) -> dict[str, Any]:
        """The body with these passwords hashed. Raises UnavailableError where hashing takes too long."""
        with until(_SAVE_WITHIN):
            return secrets.insert_hashes(body, self.hash_passwords(identity.tenant, salt_passwords(plain)))

    def _create_snapshots(self, identity: Identity, body: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The present requirements of the body's policy, to be stored with the version; None without a policy.

        Raises InvalidRequestError, ForbiddenError and UnavailableError.
        """
        policy_id, name = find_policy_id(body), body.get("distribution")
        if policy_id is None or name is None:
            return None
        try:
            return create_service_snapshots(policy_id, self._find_requirements(identity, policy_id, name))
        except PolicyNotApplicableError as error:
            raise InvalidRequestError(error.detail) from None

    def _find_requirements(self, identity: Identity, policy_id: str, name: str) -> dict[str, Any]:
        with until(_SAVE_WITHIN):
            return self.requirements(identity, policy_id, self._find_distribution(identity, name), create=True)

    def _find_distribution(self, identity: Identity, name: str) -> Distribution:
        try:
            return self.catalogue.get_for(name, org_id=identity.tenant, entitled=identity.entitled)
        except (InvalidRequestError, ForbiddenError):
            raise InvalidRequestError(f"The distribution {name} of the blueprint is not available") from None
