"""Names of RPM packages for names of packages in other distributions, for suggestions."""

from __future__ import annotations

from collections.abc import Container
from typing import Final

# Debian's name, and the names of RPM packages with the same content, the likeliest first.
_ALIASES: Final = {
    "apache2": ("httpd",),
    "apache2-utils": ("httpd-tools",),
    "bind9": ("bind",),
    "build-essential": ("gcc", "gcc-c++", "make"),
    "cron": ("cronie",),
    "default-jdk": ("java-21-openjdk-devel", "java-17-openjdk-devel"),
    "default-jre": ("java-21-openjdk", "java-17-openjdk"),
    "dnsutils": ("bind-utils",),
    "docker": ("podman",),
    "docker.io": ("podman",),
    "g++": ("gcc-c++",),
    "golang-go": ("golang",),
    "iputils-ping": ("iputils",),
    "isc-dhcp-client": ("dhcp-client",),
    "linux-image-generic": ("kernel",),
    "linux-headers-generic": ("kernel-devel",),
    "mariadb-client": ("mariadb",),
    "mysql-client": ("mysql",),
    "netcat": ("nmap-ncat",),
    "netcat-openbsd": ("nmap-ncat",),
    "nfs-common": ("nfs-utils",),
    "nfs-kernel-server": ("nfs-utils",),
    "ntp": ("chrony",),
    "openssh-client": ("openssh-clients",),
    "pkg-config": ("pkgconf",),
    "postgresql-client": ("postgresql",),
    "procps": ("procps-ng",),
    "snmp": ("net-snmp-utils",),
    "snmpd": ("net-snmp",),
    "ssh": ("openssh-clients", "openssh-server"),
    "vim": ("vim-enhanced",),
    "vim-nox": ("vim-enhanced",),
    "xz-utils": ("xz",),
    "zlib1g-dev": ("zlib-devel", "zlib-ng-compat-devel"),
}
_DEBIAN_HEADERS: Final = "-dev"


def find_aliases(name: str, known: Container[str]) -> list[str]:
    """Return the names among `known` that RPM distributions give to the content of this package."""
    candidates = list(_ALIASES.get(name, ()))
    if name.endswith(_DEBIAN_HEADERS):
        base = name.removesuffix(_DEBIAN_HEADERS)
        candidates += [f"{base}-devel", f"{base.removeprefix('lib')}-devel", f"lib{base}-devel"]
    return [each for each in dict.fromkeys(candidates) if each in known and each != name]
