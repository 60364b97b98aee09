"""Registers the machines that boot the image with Red Hat (openapi.yaml, schema Subscription)."""

from __future__ import annotations

from typing import Any, Final

from domain.compose.additions import Additions
from domain.compose.context import BuildContext
from domain.compose.repositories import find_custom_red_hat_repositories
from domain.compose.request import ComposeRequest
from domain.compose.source import ImageSource, get_rhel_version
from domain.distributions import Distribution
from domain.errors import InvalidRequestError

# The first RHEL version (major, minor) in which a machine can register with a content template by the template's name.
_MIN_VERSION_FOR_TEMPLATE_NAME: Final = (9, 6)
# The first major version of RHEL that enables the service rhcd by default.
_FIRST_MAJOR_WITH_RHCD_ENABLED: Final = 10
# The Remote Host Configuration daemon.
_RHCD_SERVICE: Final = "rhcd"
# Registered RHEL machines have BaseOS and AppStream by default. A repository whose label contains one of these words is
# therefore not sent as a content set, that is, as a repository to enable at the registration.
_DEFAULT_REPOSITORIES: Final = ("baseos", "appstream")


def check_content_template(request: ComposeRequest, source: ImageSource) -> None:
    """Raise InvalidRequestError if a machine of another system than RHEL would register with a content template.

    Only RHEL releases can do so; nightly and beta builds do not count. For a bootable container the template is
    accepted and ignored (see `write_subscription`).
    """
    template = request.image.content_template
    if not template or not isinstance(source, Distribution) or not request.has_customization("subscription"):
        return
    if get_rhel_version(source) is None:
        raise InvalidRequestError(f"Content template {template} cannot be used with {source.canonical_name}")


def write_subscription(context: BuildContext) -> dict[str, Any]:
    """Return the `subscription` object of the composer's request.

    A content template is sent only for an image that is built from a distribution. Raises TypeError if the request has
    no subscription.
    """
    customization = context.request.get_customization("subscription")
    subscription: dict[str, Any] = {
        "organization": str(customization["organization"]),
        "activation_key": customization["activation-key"],
        "server_url": customization["server-url"],
        "base_url": customization["base-url"],
        "insights": customization["insights"],
        "rhc": customization["rhc"],
        "insights_client_proxy": context.content.insights_client_proxy,
    }
    labels = [
        repository.label
        for repository in find_custom_red_hat_repositories(context)
        if _is_content_set(repository.label)
    ]
    if labels:
        subscription["content_sets"] = labels
    if context.request.image.content_template and isinstance(context.source, Distribution):
        subscription.update(_write_template(context))
    return subscription


def get_rhcd_additions(context: BuildContext) -> Additions:
    """Return the service rhcd for RHEL before 10 if Insights and OpenSCAP are requested; otherwise no additions.

    The service uploads the machine's compliance reports to Insights.
    """
    version = get_rhel_version(context.source)
    insights = context.request.get_customization("subscription", {}).get("insights") is True
    has_openscap = context.request.has_customization("openscap")
    is_needed = version is not None and version[0] < _FIRST_MAJOR_WITH_RHCD_ENABLED and insights and has_openscap
    return Additions(services=(_RHCD_SERVICE,)) if is_needed else Additions()


def _write_template(context: BuildContext) -> dict[str, Any]:
    # Older releases find a template by its UUID, at the service behind `patch_url`.
    image = context.request.image
    version = get_rhel_version(context.source)
    if version is not None and version >= _MIN_VERSION_FOR_TEMPLATE_NAME and image.content_template_name:
        return {"template_name": image.content_template_name}
    return {"template_uuid": image.content_template, "patch_url": context.content.patch_url}


def _is_content_set(label: str) -> bool:
    return bool(label) and not any(base in label for base in _DEFAULT_REPOSITORIES)
