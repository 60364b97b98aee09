"""Store blueprints in versions, with checked rules and hashed passwords (openapi.yaml, operations on /blueprints)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
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
    warn_of_repositories,
)
from domain.compose.targets import is_built_for
from domain.distributions import Catalogue, Distribution
from domain.errors import (
    ForbiddenError,
    ImageBuilderError,
    InvalidRequestError,
    NameTakenError,
    NotFoundError,
    RulesViolatedError,
    UnavailableError,
)
from domain.identity import Identity
from domain.labels import NO_LABELS, Labels, check_labels
from domain.paging import Page
from domain.similar_names import describe_choices
from image_builder.usecases.passwords import HashPasswords, salt_passwords
from image_builder.usecases.requirements import PolicyRequirements
from ports.deadline import until
from ports.memory import temporary_memory
from ports.store import Blueprints

# How often a blueprint is looked up by its name while other requests create or delete it.
_SAVE_TRIES: Final = 5
# Seconds that reading a blueprint waits for the policy that it is linted with.
_LINT_TIMEOUT: Final = 5.0
# Seconds that saving a blueprint waits for its policy, and for the hashing of its passwords.
_SAVE_TIMEOUT: Final = 30.0


@dataclass(frozen=True, slots=True)
class Saved:
    """A blueprint that was saved: its latest version, and whether it was created."""

    id: UUID
    version: int
    is_new: bool


@dataclass(frozen=True, slots=True)
class ManageBlueprints:
    """Operations on a tenant's blueprints.

    All raise NotFoundError for a blueprint that is not the tenant's, and UnavailableError if the database is
    unavailable.
    """

    blueprints: Blueprints
    catalogue: Catalogue
    requirements: PolicyRequirements
    hash_passwords: HashPasswords

    def list(self, query: BlueprintsQuery) -> BlueprintsPage:
        """Return a page of a tenant's blueprints.

        Raises InvalidRequestError for a cursor that is not from a link of the list.
        """
        return self.blueprints.find_page(query)

    def get(self, identity: Identity, blueprint_id: UUID, version: int | None) -> Blueprint:
        """Return a version of a blueprint, the latest for None."""
        return self.blueprints.get(identity.tenant, blueprint_id, version)

    def create(self, identity: Identity, document: Mapping[str, Any], key_id: UUID | None = None) -> UUID:
        """Store a valid CreateBlueprintRequest (openapi.yaml) as version 1 of a blueprint, and return its id.

        `key_id` is the id under which the request claimed its Idempotency-Key; storing the blueprint settles the key.

        Raises RulesViolatedError, InvalidRequestError, and ForbiddenError if compliance refuses the caller.
        """
        rules.check(document)
        labels = _read_labels(document)
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
                file_version=document.get("file_version"),
                created_by=identity.username,
                labels=NO_LABELS if labels is None else labels,
            ),
            key_id,
        )

    def save(self, identity: Identity, document: Mapping[str, Any]) -> Saved:
        """Store a valid CreateBlueprintRequest as a new blueprint, or as a version of the blueprint of this name.

        A document that is the same as the latest version adds none. Raises as `create` and `update` do.
        """
        query = BlueprintsQuery(identity.tenant, Page(limit=1, offset=0), document["name"])
        for _ in range(_SAVE_TRIES):
            found = self.blueprints.find_page(query).blueprints
            try:
                if not found:
                    return Saved(self.create(identity, document), 1, is_new=True)
                blueprint_id = UUID(found[0].id)
                version = self._update(identity, blueprint_id, document, None, skip_unchanged=True)
                return Saved(blueprint_id, version, is_new=False)
            except (NameTakenError, NotFoundError) as error:
                # Another request has created or deleted the blueprint meanwhile.
                failure = error
        raise failure

    def check_images(self, document: Mapping[str, Any], image_types: Sequence[str]) -> None:
        """Raise InvalidRequestError for an image type that the document's distribution has not for its architecture.

        `image_types` are those that the query gives a blueprint without images of its own.
        """
        distribution = self.catalogue.distributions.get(document.get("distribution", ""))
        if distribution is None:
            return
        for name in {image["architecture"] for image in document["image_requests"]}:
            built = distribution.architectures[name].image_types if name in distribution.architectures else ()
            for image_type in image_types:
                if not is_built_for(image_type, built):
                    allowed = describe_choices(image_type, built) if built else "another architecture"
                    raise InvalidRequestError(
                        f"image_type: for {name} and {distribution.canonical_name} expected {allowed}"
                    )

    def update(
        self,
        identity: Identity,
        blueprint_id: UUID,
        document: Mapping[str, Any],
        expected_versions: frozenset[int] | None,
    ) -> int:
        """Store a valid CreateBlueprintRequest (openapi.yaml) as the next version, and return the version's number.

        Users for whom the document gives no password or key keep those of the latest version. The blueprint keeps its
        labels if the document has none.
        `expected_versions` are the versions that the caller accepts as the latest (If-Match); None accepts any.

        Violations of rules that the latest version has, too, are not refused. Raises as `create` does, and
        StaleVersionError if the latest version is not among `expected_versions`.
        """
        return self._update(identity, blueprint_id, document, expected_versions)

    def _update(
        self,
        identity: Identity,
        blueprint_id: UUID,
        document: Mapping[str, Any],
        expected_versions: frozenset[int] | None,
        *,
        skip_unchanged: bool = False,
    ) -> int:
        """See `update`; with `skip_unchanged`, a document that is the same as the latest version adds no version."""
        self._check_update(identity, blueprint_id, document)
        labels = _read_labels(document)
        requested = extract_body(document)
        plain = secrets.find_plain_passwords(requested)
        snapshots = self._create_snapshots(identity, requested)
        known = self._find_known_hashes(identity, blueprint_id, requested, plain) if plain and skip_unchanged else {}
        body = self._hash_passwords(identity, requested, plain, known)

        def change(latest: Blueprint) -> Version | None:
            version = Version(
                document["name"],
                document.get("description", ""),
                secrets.carry_over_secrets(body, latest.body),
                snapshots,
                document.get("file_version"),
                identity.username,
                labels,
            )
            return None if skip_unchanged and latest.has_content_of(version) else version

        return self.blueprints.change(identity.tenant, blueprint_id, expected_versions, change)

    def memory_to_update(self, identity: Identity, blueprint_id: UUID) -> int:
        """Return how many bytes of memory an update takes in addition to the new document."""
        return self.blueprints.memory_to_change(identity.tenant, blueprint_id)

    def delete(self, identity: Identity, blueprint_id: UUID, expected_versions: frozenset[int] | None) -> None:
        """Hide a blueprint and its builds; the builds still count towards the quota.

        Raises StaleVersionError if the latest version is not among `expected_versions` (see `update`).
        """
        self.blueprints.delete(identity.tenant, blueprint_id, expected_versions)

    def lint(self, identity: Identity, blueprint: Blueprint) -> Lint:
        """Return the lint warnings for a blueprint.

        No error is raised, so that a blueprint can be read even if its policy cannot be looked up.
        """
        return self._lint_policy(identity, blueprint).with_warnings(warn_of_repositories(blueprint.customizations))

    def _lint_policy(self, identity: Identity, blueprint: Blueprint) -> Lint:
        policy_id, name = blueprint.policy_id, blueprint.distribution
        if policy_id is None or name is None:
            return Lint()
        try:
            with until(_LINT_TIMEOUT):
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
        NotFoundError if the policy has no tailoring for the minor version, and ForbiddenError if compliance
        refuses the caller.
        """
        with temporary_memory():  # the blueprint is read again when it is changed
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
                latest.file_version,
                identity.username,
            )

        return self.blueprints.change(identity.tenant, blueprint_id, None, change)

    def _check_update(self, identity: Identity, blueprint_id: UUID, document: Mapping[str, Any]) -> None:
        """Raise RulesViolatedError for violations of a document that the latest version does not have.

        Also refuses another tenant's blueprint, before any back-end is asked.
        """
        try:
            rules.check(document)
        except RulesViolatedError:
            with temporary_memory():
                latest = self.blueprints.get(identity.tenant, blueprint_id)
                rules.check(document, stored=latest.body)
        else:
            self.blueprints.latest_version(identity.tenant, blueprint_id)

    def _find_known_hashes(
        self, identity: Identity, blueprint_id: UUID, body: Mapping[str, Any], plain: Mapping[int, str]
    ) -> dict[int, str]:
        """The stored hashes of those passwords that have not changed since the latest version, by index of the user."""
        with until(_SAVE_TIMEOUT), temporary_memory():
            latest = self.blueprints.get(identity.tenant, blueprint_id).body
            hashes = self.hash_passwords(identity.tenant, secrets.find_stored_hashes(body, plain, latest))
            stored = secrets.list_hashes(latest)
            return {index: hashed for index, hashed in hashes.items() if hashed in stored}

    def _hash_passwords(
        self,
        identity: Identity,
        body: Mapping[str, Any],
        plain: Mapping[int, str],
        known: Mapping[int, str] = MappingProxyType({}),
    ) -> dict[str, Any]:
        """The body with these passwords hashed; `known` are hashes of some of them, by the index of the user.

        Raises UnavailableError where hashing takes too long.
        """
        new = {index: text for index, text in plain.items() if index not in known}
        with until(_SAVE_TIMEOUT):
            hashes = self.hash_passwords(identity.tenant, salt_passwords(new))
        return secrets.insert_hashes(body, {**known, **hashes})

    def _create_snapshots(self, identity: Identity, body: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Return the current requirements of the body's policy, to be stored with the version; None without a policy.

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
        with until(_SAVE_TIMEOUT):
            return self.requirements(identity, policy_id, self._find_distribution(identity, name), create=True)

    def _find_distribution(self, identity: Identity, name: str) -> Distribution:
        try:
            return self.catalogue.get_for(name, org_id=identity.tenant, entitled=identity.entitled)
        except (InvalidRequestError, ForbiddenError):
            raise InvalidRequestError(f"The distribution {name} of the blueprint is not available") from None


def _read_labels(document: Mapping[str, Any]) -> Labels | None:
    """The labels of a CreateBlueprintRequest, None if it has none. Raises InvalidRequestError."""
    labels: Labels | None = document.get("labels")
    if labels is not None:
        check_labels(labels)
    return labels
