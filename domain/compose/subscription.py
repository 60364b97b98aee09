"""Registration of the machine with Red Hat (openapi.yaml, schema Subscription)."""

from __future__ import annotations

from typing import Any, Final

from domain.compose.additions import Additions
from domain.compose.context import BuildContext
from domain.compose.repositories import find_named_red_hat
from domain.compose.request import ComposeRequest
from domain.compose.source import ImageSource, get_rhel_version
from domain.distributions import Distribution
from domain.errors import InvalidRequestError

# From this RHEL version on, a machine can register with a content template by the template's name.
_TEMPLATE_BY_NAME: Final = (9, 6)
# From this major version of RHEL on, the service rhcd is enabled already.
_CONNECTOR_ENABLED: Final = 10
_CONNECTOR: Final = "rhcd"
# Every machine of a release has these repositories, so they are not enabled as content sets.
_BASE_REPOSITORIES: Final = ("baseos", "appstream")


def check_template(request: ComposeRequest, source: ImageSource) -> None:
    """Raise InvalidRequestError for a subscription to a content template where the distribution is not a RHEL."""
    template = request.image.content_template
    if not template or not isinstance(source, Distribution) or not request.has_customization("subscription"):
        return
    if get_rhel_version(source) is None:
        raise InvalidRequestError(f"Content template {template} cannot be used with {source.canonical_name}")


def write_subscription(context: BuildContext) -> dict[str, Any]:
    """The composer's `subscription` for a request that has one and has passed `check_template`."""
    given = context.request.get_customization("subscription")
    written: dict[str, Any] = {
        "organization": str(given["organization"]),
        "activation_key": given["activation-key"],
        "server_url": given["server-url"],
        "base_url": given["base-url"],
        "insights": given["insights"],
        "rhc": given["rhc"],
        "insights_client_proxy": context.content.insights_client_proxy,
    }
    labels = [repository.label for repository in find_named_red_hat(context) if _is_content_set(repository.label)]
    if labels:
        written["content_sets"] = labels
    if context.request.image.content_template and isinstance(context.source, Distribution):
        written.update(_write_template(context))
    return written


def add_connector(context: BuildContext) -> Additions:
    """The service rhcd, through which compliance reports reach Insights, where the image needs it to be enabled."""
    version = get_rhel_version(context.source)
    insights = context.request.get_customization("subscription", {}).get("insights") is True
    hardened = context.request.has_customization("openscap")
    needed = version is not None and version[0] < _CONNECTOR_ENABLED and insights and hardened
    return Additions(services=(_CONNECTOR,)) if needed else Additions()


def _write_template(context: BuildContext) -> dict[str, Any]:
    image = context.request.image
    version = get_rhel_version(context.source)
    if version is not None and version >= _TEMPLATE_BY_NAME and image.content_template_name:
        return {"template_name": image.content_template_name}
    return {"template_uuid": image.content_template, "patch_url": context.content.patch_url}


def _is_content_set(label: str) -> bool:
    return bool(label) and not any(base in label for base in _BASE_REPOSITORIES)
