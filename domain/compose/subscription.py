"""Registering the machine with Red Hat (contract: Subscription)."""

from __future__ import annotations

from typing import Any, Final

from domain.compose.lookups import Answers
from domain.compose.repositories import named_red_hat
from domain.compose.request import ComposeRequest, Json
from domain.compose.snapshots import ContentSettings
from domain.distributions import Distribution, rhel_version
from domain.errors import InvalidRequestError

# From here on a machine can be registered with a template by its name.
_TEMPLATE_BY_NAME: Final = (9, 6)
# From here on the connector service comes enabled.
_CONNECTOR_ENABLED: Final = 10
# What every machine of a release has is not a content set to be enabled.
_BASE: Final = ("baseos", "appstream")


def check(request: ComposeRequest, distribution: Distribution | None) -> None:
    """Raise InvalidRequestError where machines of what is not RHEL were to use a content template."""
    template = request.image.content_template
    if not template or distribution is None or "subscription" not in (request.customizations or {}):
        return
    if rhel_version(distribution.canonical_name) is None:
        raise InvalidRequestError(f"Content template {template} cannot be used with {distribution.canonical_name}")


def subscription(
    request: ComposeRequest,
    given: Json,
    distribution: Distribution | None,
    answers: Answers,
    settings: ContentSettings,
) -> dict[str, Any]:
    """The composer's `subscription` for a request that was checked."""
    theirs: dict[str, Any] = {
        "organization": str(given["organization"]),
        "activation_key": given["activation-key"],
        "server_url": given["server-url"],
        "base_url": given["base-url"],
        "insights": given["insights"],
        "rhc": given["rhc"],
        "insights_client_proxy": settings.insights_client_proxy,
    }
    labels = [repository.label for repository in named_red_hat(request, answers) if _is_content_set(repository.label)]
    if labels:
        theirs["content_sets"] = labels
    if request.image.content_template and distribution is not None:
        theirs.update(_template(request, distribution, settings))
    return theirs


def needs_connector(request: ComposeRequest, distribution: Distribution | None) -> bool:
    """Whether the image has to enable the service through which compliance reports reach Insights."""
    version = None if distribution is None else rhel_version(distribution.canonical_name)
    customizations = request.customizations or {}
    insights = customizations.get("subscription", {}).get("insights") is True
    return version is not None and version[0] < _CONNECTOR_ENABLED and insights and "openscap" in customizations


def _template(request: ComposeRequest, distribution: Distribution, settings: ContentSettings) -> dict[str, Any]:
    version = rhel_version(distribution.canonical_name)
    if version is not None and version >= _TEMPLATE_BY_NAME and request.image.content_template_name:
        return {"template_name": request.image.content_template_name}
    return {"template_uuid": request.image.content_template, "patch_url": settings.patch_url}


def _is_content_set(label: str) -> bool:
    return bool(label) and not any(base in label for base in _BASE)
