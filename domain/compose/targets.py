"""Upload targets: which image types a target accepts, and the composer's options for it.

Source: openapi.yaml, schemas UploadRequest and UploadTypes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from domain.compose.request import ImageRequest, Json
from domain.errors import InvalidRequestError

# For each upload target: the image types that it accepts, and the composer's names of them.
IMAGE_TYPES: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "aws": {"aws": "aws", "ami": "aws"},
        "aws.s3": {
            "edge-commit": "edge-commit",
            "rhel-edge-commit": "edge-commit",
            "edge-installer": "edge-installer",
            "rhel-edge-installer": "edge-installer",
            "guest-image": "guest-image",
            "image-installer": "image-installer",
            "network-installer": "network-installer",
            "vsphere": "vsphere",
            "vsphere-ova": "vsphere-ova",
            "wsl": "wsl",
            "pxe-tar-xz": "pxe-tar-xz",
            "bootable-container-iso": "bootable-container-iso",
        },
        "gcp": {"gcp": "gcp"},
        "azure": {"azure": "azure", "vhd": "azure"},
        "oci.objectstorage": {"oci": "oci"},
    }
)

# For each of our image types: its upload target, and the composer's name of it.
_TARGETS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {ours: (target, theirs) for target, types in IMAGE_TYPES.items() for ours, theirs in types.items()}
)
# The upload targets at which an image can be shared with accounts.
SHARING_TARGETS: Final = ("aws", "gcp")

# The largest number of characters of an image name, for each target whose options include the name.
MAX_IMAGE_NAME_LENGTHS: Final[Mapping[str, int]] = MappingProxyType({"azure": 60})

_AZURE_IMAGE_NAME: Final = re.compile(r"[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9_.-]*[a-zA-Z0-9_]")
_OPTIONS: Final = "image_requests[0].upload_request.options"


@dataclass(frozen=True, slots=True)
class UploadSettings:
    """Regions and the bucket of the composer's own cloud accounts, set by operators."""

    aws_region: str
    gcp_region: str
    gcp_bucket: str


def accepts(upload_type: str, image_type: str) -> bool:
    """Return whether the target accepts images of this type."""
    return image_type in IMAGE_TYPES.get(upload_type, {})


def find_upload_type(image_type: str) -> str | None:
    """The upload target of an image type; None for an unknown type."""
    target, _ = _TARGETS.get(image_type, (None, ""))
    return target


def is_built_for(image_type: str, built: Collection[str]) -> bool:
    """Whether an image type is among the types `built` for an architecture, under any of its names."""
    names = {_TARGETS.get(each, ("", each))[1] for each in built}
    return _TARGETS.get(image_type, ("", image_type))[1] in names


def translate_image_type(image: ImageRequest) -> str:
    """Return the composer's name of the image type.

    Raises InvalidRequestError if the target does not accept the type.
    """
    try:
        return IMAGE_TYPES[image.upload_type][image.image_type]
    except KeyError:
        raise InvalidRequestError("Invalid image type for upload target") from None


def write_upload_options(
    image: ImageRequest, settings: UploadSettings, accounts: Mapping[str, str | None]
) -> dict[str, Any]:
    """Return the composer's `upload_options`.

    `accounts` maps each source (`share_with_sources`) to its cloud account, or to None if it has none.

    Raises InvalidRequestError if the request's options do not fit the target, or a source has no account.
    """
    if image.upload_type == "aws":
        return _write_aws(image.upload_options, settings, accounts)
    return _WRITERS[image.upload_type](image.upload_options, settings)


def check_upload_options(image: ImageRequest) -> None:
    """Raise InvalidRequestError if the request's options do not fit the target; sources are not resolved."""
    sources = _get_texts(image.upload_options, "share_with_sources") if image.upload_type == "aws" else []
    write_upload_options(image, UploadSettings("", "", ""), dict.fromkeys(sources, "-"))


def find_account_faults(
    image: ImageRequest, accounts: Mapping[str, str | None]
) -> Iterator[tuple[str, InvalidRequestError]]:
    """Yield an error, with its path, for each source without an account; sources that `accounts` lacks are left out."""
    sources = image.upload_options.get("share_with_sources", ()) if image.upload_type == "aws" else ()
    for index, source in enumerate(sources):
        try:
            if source in accounts:
                _get_account(source, accounts)
        except InvalidRequestError as error:
            yield f"{_OPTIONS}.share_with_sources[{index}]", error


def _write_aws(options: Json, settings: UploadSettings, accounts: Mapping[str, str | None]) -> dict[str, Any]:
    accounts_in_request, sources = _get_texts(options, "share_with_accounts"), _get_texts(options, "share_with_sources")
    if not accounts_in_request and not sources:
        raise InvalidRequestError("Expected at least one source or account to share the image with")
    resolved = [_get_account(source, accounts) for source in sources]
    return {
        "region": settings.aws_region,
        "share_with_accounts": list(dict.fromkeys([*accounts_in_request, *resolved])),
    }


def _get_account(source: str, accounts: Mapping[str, str | None]) -> str:
    account = accounts.get(source)
    if account is None:
        raise InvalidRequestError(f"Unable to resolve source {source} to an aws account id")
    return account


def _write_aws_s3(_options: Json, settings: UploadSettings) -> dict[str, Any]:
    return {"region": settings.aws_region}


def _write_gcp(options: Json, settings: UploadSettings) -> dict[str, Any]:
    accounts = _get_texts(options, "share_with_accounts")
    return {
        "region": settings.gcp_region,
        "bucket": settings.gcp_bucket,
        **({"share_with_accounts": accounts} if accounts else {}),
    }


def _write_azure(options: Json, _settings: UploadSettings) -> dict[str, Any]:
    azure_options = {
        name: text
        for name in ("tenant_id", "subscription_id", "resource_group", "image_name", "hyper_v_generation")
        if (text := _get_text(options, name)) is not None
    }
    if not azure_options.get("tenant_id") or not azure_options.get("subscription_id"):
        raise InvalidRequestError("Request must contain tenant and subscription ids.")
    if "resource_group" not in azure_options:
        raise InvalidRequestError(f"{_OPTIONS}.resource_group: expected the name of a resource group")
    image_name = azure_options.get("image_name")
    longest = MAX_IMAGE_NAME_LENGTHS["azure"]
    if image_name is not None and (len(image_name) > longest or not _AZURE_IMAGE_NAME.fullmatch(image_name)):
        raise InvalidRequestError(
            f"{_OPTIONS}.image_name: expected 1 to {longest} letters, digits, '_', '.' and '-', "
            "beginning with a letter or digit and not ending with '.' or '-'"
        )
    if azure_options.get("hyper_v_generation", "V1") not in {"V1", "V2"}:
        raise InvalidRequestError(f"{_OPTIONS}.hyper_v_generation: expected V1 or V2")
    return azure_options


def _write_oci(_options: Json, _settings: UploadSettings) -> dict[str, Any]:
    return {}


_WRITERS: Final[Mapping[str, Callable[[Json, UploadSettings], dict[str, Any]]]] = {
    "aws.s3": _write_aws_s3,
    "gcp": _write_gcp,
    "azure": _write_azure,
    "oci.objectstorage": _write_oci,
}


def _get_text(options: Json, name: str) -> str | None:
    if name not in options:
        return None
    if not isinstance(options[name], str):
        raise InvalidRequestError(f"{_OPTIONS}.{name}: expected text")
    return str(options[name])


def _get_texts(options: Json, name: str) -> list[str]:
    values = options.get(name, [])
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise InvalidRequestError(f"{_OPTIONS}.{name}: expected a list of text")
    return list(values)
