"""Create the composer's request (`POST /compose` of the composer's API)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from domain.compose.blueprint_form import find_blueprint_field, write_blueprint
from domain.compose.context import BuildContext
from domain.compose.customer_repositories import find_repository_faults
from domain.compose.customizations import write_customizations
from domain.compose.lookups import Subject
from domain.compose.repositories import find_image_repository_ids, write_image_repositories
from domain.compose.source import BootableContainer
from domain.compose.tailoring import write_policy
from domain.compose.targets import find_account_faults, translate_image_type, write_upload_options
from domain.distributions import Distribution, rhel_version
from domain.errors import InvalidRequestError


def write_request(context: BuildContext) -> dict[str, Any]:
    """Return the composer's ComposeRequest; its passwords are those of `context.customizations`.

    Raises InvalidRequestError if the results of lookups do not allow the build: a repository has no snapshot, a policy
    does not apply, or a source has no cloud account.
    """
    return {
        **write_source(context),
        **_write_content(context),
        # The composer writes the blueprint's id into the image.
        **({} if context.blueprint_id is None else {"blueprint_id": str(context.blueprint_id)}),
        "image_request": _write_image_request(context),
    }


class LookupFault(NamedTuple):
    """What the lookups about `subject` show to prevent the build, and the path of the field."""

    subject: Subject
    path: str
    error: InvalidRequestError


def find_lookup_faults(context: BuildContext, unanswered: Collection[Subject]) -> Iterator[LookupFault]:
    """Yield all faults for which the results of lookups do not allow the build.

    Those that depend on `unanswered` lookups are left out. An unknown address is a fault here, while `write_request`
    leaves it to the composer to refuse the repository.
    """
    for subject, find in (
        (Subject.REPOSITORIES, _find_repository_faults),
        (Subject.ACCOUNTS, _find_account_faults),
        (Subject.POLICY, _find_policy_faults),
    ):
        if subject not in unanswered:
            yield from (LookupFault(subject, path, error) for path, error in find(context))


_Faults = Iterator[tuple[str, InvalidRequestError]]


def _find_repository_faults(context: BuildContext) -> _Faults:
    field = "content_template" if context.request.image.content_template else "snapshot_date"
    try:
        write_image_repositories(context)
    except InvalidRequestError as error:
        yield f"image_requests[0].{field}", error
    yield from find_repository_faults(context)


def _find_account_faults(context: BuildContext) -> _Faults:
    return find_account_faults(context.request.image, context.answers.accounts)


def _find_policy_faults(context: BuildContext) -> _Faults:
    try:
        write_policy(context)
    except InvalidRequestError as error:
        yield "customizations.openscap.policy_id", error


def _write_content(context: BuildContext) -> dict[str, Any]:
    """The composer's `customizations`, or its `blueprint` where they have no place for a field of the request."""
    customizations = write_customizations(context)
    if customizations is None:
        return {}
    field = find_blueprint_field(customizations)
    if field is None:
        return {"customizations": customizations}
    return {"blueprint": write_blueprint(customizations, context.request, field)}


def write_source(context: BuildContext) -> dict[str, Any]:
    """The composer's `distribution`, or its `bootc`."""
    source = context.source
    if isinstance(source, BootableContainer):
        payload = source.iso_payload_reference
        return {
            "bootc": {
                "reference": source.reference,
                **({} if payload is None else {"iso_payload_reference": payload}),
            }
        }
    return {"distribution": (_detect_distribution(context) or source).composer_distribution}


def _detect_distribution(context: BuildContext) -> Distribution | None:
    """Return the RHEL release whose content the image's snapshots hold.

    None if the snapshots name no version, or the caller is not entitled to a distribution of that version.
    """
    if not context.request.image.uses_snapshots:
        return None
    template = context.answers.template
    snapshots = context.answers.snapshots if template is None else template.snapshots
    used = find_image_repository_ids(context)
    versions = (snapshot.detected_os_version for snapshot in snapshots if snapshot.repository_uuid in used)
    version = next(filter(None, versions), None)
    if version is None:
        return None
    matching = (each for each in context.entitled if _format_version(each) == version)
    return next(matching, None)


def _format_version(distribution: Distribution) -> str | None:
    version = rhel_version(distribution.canonical_name)
    return None if version is None else f"{version[0]}.{version[1]}"


def _write_image_request(context: BuildContext) -> dict[str, Any]:
    image = context.request.image
    return {
        "architecture": image.architecture,
        "image_type": translate_image_type(image),
        **({} if image.size is None else {"size": image.size}),
        **({} if image.ostree is None else {"ostree": image.ostree}),
        "repositories": write_image_repositories(context),
        "upload_options": write_upload_options(image, context.upload, context.answers.accounts),
    }
