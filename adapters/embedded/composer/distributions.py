"""The distributions that the stand-in composer accepts, and their details."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, Final

NAME: Final = re.compile(r"(?P<family>rhel|centos|fedora)-(?P<version>\d+(\.\d+)?)(-nightly|-beta)?")
NAMES: Final = (
    *("centos-9", "centos-10", "fedora-42", "fedora-43", "fedora-44"),
    *("rhel-8", "rhel-8.10", "rhel-9", "rhel-9.6", "rhel-9.7", "rhel-10", "rhel-10.0", "rhel-10.1"),
)
PRODUCTS: Final = {"rhel": "Red Hat Enterprise Linux", "centos": "CentOS Stream", "fedora": "Fedora"}
GIBIBYTE: Final = 1024**3

DISK_IMAGE_TYPES: Final = {
    "aws": ("ami",),
    "azure": ("vhd",),
    "gcp": (),
    "guest-image": ("qcow2",),
    "minimal-raw": (),
    "oci": (),
    "vsphere": ("vmdk",),
    "vsphere-ova": ("ova",),
    "wsl": (),
}
INSTALLER_IMAGE_TYPES: Final = {"image-installer": (), "network-installer": ()}
OSTREE_IMAGE_TYPES: Final = {"edge-commit": ("rhel-edge-commit",), "edge-installer": ("rhel-edge-installer",)}
ARCHITECTURES: Final = {
    "aarch64": ("aws", "azure", "guest-image", "minimal-raw", "wsl", *INSTALLER_IMAGE_TYPES, *OSTREE_IMAGE_TYPES),
    "ppc64le": ("guest-image",),
    "s390x": ("guest-image",),
    "x86_64": (*DISK_IMAGE_TYPES, *INSTALLER_IMAGE_TYPES, *OSTREE_IMAGE_TYPES),
}

TOP_LEVEL_OPTIONS: Final = (
    "name",
    "version",
    "description",
    "distro",
    "packages",
    "modules",
    "groups",
    "enabled_modules",
    "containers",
)
CUSTOMIZATION_OPTIONS: Final = (
    *(
        "cacerts",
        "directories",
        "files",
        "fips",
        "firewall",
        "group",
        "hostname",
        "kernel",
        "locale",
        "openscap",
    ),
    *("repositories", "rhsm", "rpm", "services", "sshkey", "timezone", "user"),
)
DISK_OPTIONS: Final = ("disk", "filesystem", "partitioning_mode")
NETWORK_INSTALLER_OPTIONS: Final = ("fips", "locale")
EDGE_INSTALLER_OPTIONS: Final = (
    "fdo",
    "ignition",
    "installation_device",
    "installer",
    "user",
    "group",
    "fips",
    "locale",
)


def is_known(name: str) -> bool:
    """Whether the stand-in accepts a distribution of this name."""
    return NAME.fullmatch(name) is not None


def list_repositories() -> dict[str, Any]:
    """The repositories of each distribution, by architecture."""
    return {name: {architecture: [_repository(name, architecture)] for architecture in ARCHITECTURES} for name in NAMES}


def details(name: str, architectures: Collection[str], image_types: Collection[str]) -> dict[str, Any]:
    """The details of a distribution, restricted to these architectures and image types unless they are empty.

    Raises KeyError for an unknown distribution.
    """
    match = NAME.fullmatch(name)
    if match is None:
        raise KeyError(name)
    family, version = match["family"], match["version"]
    major = version.partition(".")[0]
    return {
        "name": name,
        "os_version": version,
        "releasever": major if family != "rhel" else version,
        "module_platform_id": f"platform:{'f' if family == 'fedora' else 'el'}{major}",
        "product": PRODUCTS[family],
        "architectures": {
            architecture: {"name": architecture, "image_types": _image_types(architecture, image_types)}
            for architecture in ARCHITECTURES
            if not architectures or architecture in architectures
        },
    }


def supports(image_type: str, customization: str) -> bool:
    """Whether an image type supports this customization (a key of a request); all but two installers support all.

    Subscriptions and payload repositories are no options of an image type.
    """
    if customization in {"subscription", "payload_repositories"}:
        return True
    options = {"network-installer": NETWORK_INSTALLER_OPTIONS, "edge-installer": EDGE_INSTALLER_OPTIONS}.get(image_type)
    return options is None or {"users": "user", "groups": "group"}.get(customization, customization) in options


def _image_types(architecture: str, wanted: Collection[str]) -> dict[str, Any]:
    aliases = {**DISK_IMAGE_TYPES, **INSTALLER_IMAGE_TYPES, **OSTREE_IMAGE_TYPES}
    return {
        name: _image_type(name, aliases[name])
        for name in ARCHITECTURES[architecture]
        if not wanted or name in wanted or not set(aliases[name]).isdisjoint(wanted)
    }


def _image_type(name: str, aliases: tuple[str, ...]) -> dict[str, Any]:
    return {
        "name": name,
        "aliases": list(aliases),
        "default_size": (0 if name in INSTALLER_IMAGE_TYPES or name in OSTREE_IMAGE_TYPES else 10) * GIBIBYTE,
        "exports": ["archive" if name in OSTREE_IMAGE_TYPES else "image"],
        "required_blueprint_options": ["customizations.installation_device"] if name == "edge-installer" else [],
        "supported_blueprint_options": _supported(name),
    }


def _supported(name: str) -> list[str]:
    match name:
        case "network-installer":
            return [*TOP_LEVEL_OPTIONS[:4], *(f"customizations.{option}" for option in NETWORK_INSTALLER_OPTIONS)]
        case "edge-installer":
            return [*TOP_LEVEL_OPTIONS[:4], *(f"customizations.{option}" for option in EDGE_INSTALLER_OPTIONS)]
        case "image-installer":
            return [
                *TOP_LEVEL_OPTIONS,
                *(f"customizations.{option}" for option in (*CUSTOMIZATION_OPTIONS, "installer")),
            ]
        case "edge-commit" | "wsl":
            return [*TOP_LEVEL_OPTIONS, *(f"customizations.{option}" for option in CUSTOMIZATION_OPTIONS)]
    return [*TOP_LEVEL_OPTIONS, *(f"customizations.{option}" for option in (*CUSTOMIZATION_OPTIONS, *DISK_OPTIONS))]


def _repository(name: str, architecture: str) -> dict[str, Any]:
    url = f"https://stand-in-composer.invalid/{name}/{architecture}/baseos"
    return {"id": "baseos", "name": "baseos", "baseurls": [url], "enabled": True, "gpgcheck": True}
