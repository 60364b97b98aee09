"""The distributions the stand-in says it can build, and what it says of each."""

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

ON_DISK: Final = {
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
INSTALLERS: Final = {"image-installer": (), "network-installer": ()}
OSTREE: Final = {"edge-commit": ("rhel-edge-commit",), "edge-installer": ("rhel-edge-installer",)}
ARCHITECTURES: Final = {
    "aarch64": ("aws", "azure", "guest-image", "minimal-raw", "wsl", *INSTALLERS, *OSTREE),
    "ppc64le": ("guest-image",),
    "s390x": ("guest-image",),
    "x86_64": (*ON_DISK, *INSTALLERS, *OSTREE),
}

PLAIN: Final = (
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
CUSTOMIZATIONS: Final = (
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
OF_DISKS: Final = ("disk", "filesystem", "partitioning_mode")
OF_NETWORK_INSTALLERS: Final = ("fips", "locale")
OF_EDGE_INSTALLERS: Final = (
    "fdo",
    "ignition",
    "installation_device",
    "installer",
    "user",
    "group",
    "fips",
    "locale",
)


def known(name: str) -> bool:
    """Whether the stand-in builds a distribution of that name."""
    return NAME.fullmatch(name) is not None


def listing() -> dict[str, Any]:
    """Every distribution's architectures and their repositories."""
    return {name: {architecture: [_repository(name, architecture)] for architecture in ARCHITECTURES} for name in NAMES}


def details(name: str, architectures: Collection[str], image_types: Collection[str]) -> dict[str, Any]:
    """What the composer tells of a known distribution, of these architectures and image types if given."""
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
    """Whether an installer that takes few customizations takes this one, as a request names it; others take all."""
    options = {"network-installer": OF_NETWORK_INSTALLERS, "edge-installer": OF_EDGE_INSTALLERS}.get(image_type)
    return options is None or {"users": "user", "groups": "group"}.get(customization, customization) in options


def _image_types(architecture: str, wanted: Collection[str]) -> dict[str, Any]:
    aliases = {**ON_DISK, **INSTALLERS, **OSTREE}
    return {
        name: _image_type(name, aliases[name])
        for name in ARCHITECTURES[architecture]
        if not wanted or name in wanted or not set(aliases[name]).isdisjoint(wanted)
    }


def _image_type(name: str, aliases: tuple[str, ...]) -> dict[str, Any]:
    return {
        "name": name,
        "aliases": list(aliases),
        "default_size": (0 if name in INSTALLERS or name in OSTREE else 10) * GIBIBYTE,
        "exports": ["archive" if name in OSTREE else "image"],
        "required_blueprint_options": ["customizations.installation_device"] if name == "edge-installer" else [],
        "supported_blueprint_options": _supported(name),
    }


def _supported(name: str) -> list[str]:
    match name:
        case "network-installer":
            return [*PLAIN[:4], *(f"customizations.{option}" for option in OF_NETWORK_INSTALLERS)]
        case "edge-installer":
            return [*PLAIN[:4], *(f"customizations.{option}" for option in OF_EDGE_INSTALLERS)]
        case "image-installer":
            return [*PLAIN, *(f"customizations.{option}" for option in (*CUSTOMIZATIONS, "installer"))]
        case "edge-commit" | "wsl":
            return [*PLAIN, *(f"customizations.{option}" for option in CUSTOMIZATIONS)]
    return [*PLAIN, *(f"customizations.{option}" for option in (*CUSTOMIZATIONS, *OF_DISKS))]


def _repository(name: str, architecture: str) -> dict[str, Any]:
    url = f"https://stand-in-composer.invalid/{name}/{architecture}/baseos"
    return {"id": "baseos", "name": "baseos", "baseurls": [url], "enabled": True, "gpgcheck": True}
