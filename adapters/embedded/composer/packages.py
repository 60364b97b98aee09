"""The packages of the stand-in composer: some real names, for searches and for the metadata of built images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import Any, Final

from adapters.embedded.composer.distributions import NAME

# Name, version, license and summary; a name that ends with ":" has the architecture noarch.
PACKAGE_LINES: Final = """
NetworkManager 1.52.0 GPL-2.0-or-later Network connection manager and user applications
ansible-core: 2.16.3 GPL-3.0-or-later SSH-based configuration management and task execution
audit 4.0.3 GPL-2.0-or-later User space tools for kernel auditing
bash 5.2.26 GPL-3.0-or-later The GNU Bourne Again shell
bash-completion: 2.11 GPL-2.0-or-later Programmable completion for Bash
bind-utils 9.18.33 MPL-2.0 Utilities for querying DNS name servers
buildah 1.39.4 Apache-2.0 A command line tool used for creating OCI images
chrony 4.6.1 GPL-2.0-only An NTP client and server
cloud-init: 24.4 Apache-2.0 Cloud instance init scripts
cockpit 334.1 LGPL-2.1-or-later Web console for Linux servers
cockpit-composer: 51 LGPL-2.1-or-later Composer user interface for Cockpit
coreutils 9.5 GPL-3.0-or-later A set of basic GNU tools commonly used in shell scripts
cronie 1.7.0 GPL-2.0-or-later Cron daemon for executing programs at set times
curl 8.9.1 curl A utility for getting files from remote servers
dnf: 4.20.0 GPL-2.0-or-later Package manager
dracut 105 GPL-2.0-or-later Initramfs generator using udev
firewalld: 2.3.0 GPL-2.0-or-later A firewall daemon with D-Bus interface providing a dynamic firewall
gcc 14.2.1 GPL-3.0-or-later Various compilers (C, C++, Objective-C, ...)
git 2.47.1 GPL-2.0-only Fast Version Control System
glibc 2.39 LGPL-2.1-or-later The GNU libc libraries
golang 1.23.6 BSD-3-Clause The Go Programming Language
greenboot 0.15.7 LGPL-2.1-or-later Generic Health Check Framework for systemd
haproxy 3.0.5 GPL-2.0-or-later HAProxy reverse proxy for high availability environments
httpd 2.4.63 Apache-2.0 Apache HTTP Server
insights-client: 3.2.8 GPL-2.0-or-later Uploads Insights information to Red Hat on a periodic basis
jq 1.7.1 MIT Command-line JSON processor
kernel 6.12.0 GPL-2.0-only The Linux kernel
keylime 7.12.1 Apache-2.0 Open source TPM software for bootstrapping and maintaining trust
libssh 0.11.1 LGPL-2.1-or-later A library implementing the SSH protocol
lvm2 2.03.28 GPL-2.0-only Userland logical volume management tools
mariadb-server 10.11.11 GPL-2.0-only The MariaDB server and related files
nano 8.1 GPL-3.0-or-later A small text editor
net-tools 2.0 GPL-2.0-or-later Basic networking tools
nginx 1.26.3 BSD-2-Clause A high performance web server and reverse proxy server
nodejs 22.13.1 MIT JavaScript runtime
openscap-scanner 1.4.1 LGPL-2.1-or-later OpenSCAP Scanner Tool
openssh 9.9p1 BSD-3-Clause An open source implementation of SSH protocol version 2
openssh-clients 9.9p1 BSD-3-Clause An open source SSH client application
openssh-server 9.9p1 BSD-3-Clause An open source SSH server daemon
openssl 3.2.2 Apache-2.0 Utilities from the general purpose cryptography library with TLS
osbuild-composer 132 Apache-2.0 An image building service based on osbuild
passwd 0.80 BSD-3-Clause An utility for setting or changing passwords using PAM
pcp 6.3.2 GPL-2.0-or-later System-level performance monitoring and performance management
podman 5.4.0 Apache-2.0 Manage Pods, Containers and Container Images
postgresql-server 16.6 PostgreSQL The programs needed to create and run a PostgreSQL server
python3 3.12.9 Python-2.0.1 Python interpreter
python3-pip: 23.3.2 MIT A tool for installing and managing Python3 packages
qemu-guest-agent 9.1.0 GPL-2.0-only QEMU guest agent
rhc 0.3.0 GPL-3.0-only rhc connects the system to Red Hat hosted services
rpm 4.19.1 GPL-2.0-or-later The RPM package management system
rsync 3.4.1 GPL-3.0-or-later A program for synchronizing files over a network
scap-security-guide: 0.1.76 BSD-3-Clause Security guidance and baselines in SCAP formats
selinux-policy: 40.13.26 GPL-2.0-or-later SELinux policy configuration
skopeo 1.18.0 Apache-2.0 Inspect container images and repositories on registries
sqlite 3.46.1 blessing Library that implements an embeddable SQL database engine
strace 6.12 LGPL-2.1-or-later Tracks and displays system calls associated with a running process
subscription-manager 1.30.6 GPL-2.0-only Tools and libraries for subscription and repository management
sudo 1.9.15p5 ISC Allows restricted root access for specified users
systemd 257 LGPL-2.1-or-later System and Service Manager
tar 1.35 GPL-3.0-or-later GNU file archiving program
tmux 3.3a ISC A terminal multiplexer
tuned: 2.25.1 GPL-2.0-or-later A dynamic adaptive system tuning daemon
vim-enhanced 9.1.083 Vim A version of the VIM editor which includes recent enhancements
wget 1.24.5 GPL-3.0-or-later A utility for retrieving files using the HTTP or FTP protocols
zsh 5.9 MIT-Modern-Variant Powerful interactive shell
"""
BASE_PACKAGES: Final = ("bash", "coreutils", "dracut", "glibc", "kernel", "rpm", "selinux-policy", "systemd")


@dataclass(frozen=True, slots=True)
class Package:
    """A package, the same in each distribution."""

    name: str
    version: str
    license: str
    summary: str
    noarch: bool = False


def _parse_packages() -> Iterator[Package]:
    for line in PACKAGE_LINES.strip().splitlines():
        name, version, license_, summary = line.split(" ", 3)
        yield Package(name.rstrip(":"), version, license_, summary, name.endswith(":"))


PACKAGES: Final = {package.name: package for package in _parse_packages()}


def search(patterns: Iterable[str], distribution: str, architecture: str) -> list[dict[str, Any]]:
    """The packages that match any of these names or globs, sorted by name."""
    wanted = list(patterns)
    return [
        {
            **_identify(package, distribution, architecture),
            "license": package.license,
            "summary": package.summary,
            "description": f"{package.summary}. (As the stand-in composer knows it.)",
            "url": f"https://stand-in-composer.invalid/packages/{package.name}",
            "buildtime": "2025-01-01T00:00:00Z",
        }
        for name, package in sorted(PACKAGES.items())
        if any(fnmatchcase(name, pattern) for pattern in wanted)
    ]


def list_installed(distribution: str, architecture: str, requested: Iterable[str]) -> list[dict[str, Any]]:
    """The metadata of the packages of an image: those of every image, and the requested ones."""
    names = sorted({*BASE_PACKAGES, *(name for name in requested if not name.startswith("@"))})
    packages = (PACKAGES.get(name, Package(name, "1.0.0", "", "")) for name in names)
    return [_metadata(_identify(package, distribution, architecture)) for package in packages]


def describe_missing(requested: Iterable[str]) -> str | None:
    """The package manager's error for the requested names that are no package, None if there are none.

    Groups (`@…`) always exist.
    """
    missing = sorted({name for name in requested if not name.startswith("@") and name not in PACKAGES})
    if not missing:
        return None
    return (
        "DNF error occurred: MarkingErrors: Error occurred when marking packages for installation: "
        f"Problems in request:\nmissing packages: {', '.join(missing)}"
    )


def fake_checksum(text: str) -> str:
    """A deterministic text that looks like a checksum."""
    return sha256(text.encode()).hexdigest()


def _identify(package: Package, distribution: str, architecture: str) -> dict[str, Any]:
    match = NAME.fullmatch(distribution)
    major = match["version"].partition(".")[0] if match else "0"
    suffix = f"fc{major}" if match and match["family"] == "fedora" else f"el{major}"
    return {
        "name": package.name,
        "version": package.version,
        "release": f"1.{suffix}",
        "epoch": "0",
        "arch": "noarch" if package.noarch else architecture,
    }


def _metadata(named: dict[str, Any]) -> dict[str, Any]:
    checksum = fake_checksum("-".join(named.values()))
    return {"type": "rpm", **named, "sigmd5": checksum[:32], "checksum": f"sha256:{checksum}"}
