"""Names of RPM packages for names of packages in other distributions, for suggestions."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterator
from typing import Final

# Debian's name, and the names of RPM packages with the same content, the likeliest first.
_ALIASES: Final = {
    "apache2": ("httpd",),
    "apache2-dev": ("httpd-devel",),
    "apache2-utils": ("httpd-tools",),
    "bind9": ("bind",),
    "bind9-dnsutils": ("bind-utils",),
    "bsdmainutils": ("util-linux",),
    "build-essential": ("gcc", "gcc-c++", "make"),
    "cron": ("cronie",),
    "default-jdk": ("java-21-openjdk-devel", "java-17-openjdk-devel"),
    "default-jre": ("java-21-openjdk", "java-17-openjdk"),
    "dnsutils": ("bind-utils",),
    "docker": ("podman",),
    "docker.io": ("podman",),
    "exim4": ("exim",),
    "fdisk": ("util-linux",),
    "firmware-linux": ("linux-firmware",),
    "g++": ("gcc-c++",),
    "gdm3": ("gdm",),
    "gfortran": ("gcc-gfortran",),
    "gnupg": ("gnupg2",),
    "golang-go": ("golang",),
    "grub-efi-amd64": ("grub2-efi-x64",),
    "grub-pc": ("grub2-pc",),
    "initramfs-tools": ("dracut",),
    "iputils-ping": ("iputils",),
    "isc-dhcp-client": ("dhcp-client",),
    "isc-dhcp-server": ("dhcp-server",),
    "krb5-user": ("krb5-workstation",),
    "ldap-utils": ("openldap-clients",),
    "libc-bin": ("glibc-common",),
    "libc6": ("glibc",),
    "libnss3-tools": ("nss-tools",),
    "libvirt-clients": ("libvirt-client",),
    "libvirt-daemon-system": ("libvirt-daemon",),
    "locales": ("glibc-langpack-en", "glibc-all-langpacks"),
    "mailutils": ("mailx", "s-nail"),
    "manpages": ("man-pages",),
    "mariadb-client": ("mariadb",),
    "multipath-tools": ("device-mapper-multipath",),
    "mysql-client": ("mysql",),
    "netcat": ("nmap-ncat",),
    "netcat-openbsd": ("nmap-ncat",),
    "nfs-common": ("nfs-utils",),
    "nfs-kernel-server": ("nfs-utils",),
    "ntp": ("chrony", "ntpsec"),
    "ntpdate": ("chrony",),
    "open-iscsi": ("iscsi-initiator-utils",),
    "openssh-client": ("openssh-clients",),
    "php-mysql": ("php-mysqlnd",),
    "pkg-config": ("pkgconf-pkg-config", "pkgconf"),
    "postgresql-client": ("postgresql",),
    "procps": ("procps-ng",),
    "python-is-python3": ("python-unversioned-command",),
    "qemu-kvm": ("qemu-kvm-core",),
    "qemu-utils": ("qemu-img",),
    "redis-server": ("redis", "valkey"),
    "rustc": ("rust",),
    "samba-common-bin": ("samba-common-tools",),
    "shim-signed": ("shim-x64",),
    "slapd": ("openldap-servers",),
    "smbclient": ("samba-client",),
    "snmp": ("net-snmp-utils",),
    "snmpd": ("net-snmp",),
    "ssh": ("openssh-clients", "openssh-server"),
    "telnetd": ("telnet-server",),
    "ufw": ("firewalld",),
    "unattended-upgrades": ("dnf-automatic",),
    "uuid-runtime": ("util-linux",),
    "vim": ("vim-enhanced",),
    "vim-nox": ("vim-enhanced",),
    "vim-tiny": ("vim-minimal",),
    "winbind": ("samba-winbind",),
    "xz-utils": ("xz",),
}
# Libraries, without "lib" and version, whose RPM packages have other names: the stem of -libs and -devel.
_LIBRARIES: Final = {
    "boost-all": "boost",
    "bz2": "bzip2",
    "c": "glibc",
    "dbus": "dbus",
    "dw": "elfutils",
    "elf": "elfutils-libelf",
    "gl1-mesa": "mesa-libGL",
    "jpeg": "libjpeg-turbo",
    "ldap": "openldap",
    "lzma": "xz",
    "magickwand": "ImageMagick",
    "mariadb": "mariadb-connector-c",
    "mysqlclient": "mysql",
    "sasl": "cyrus-sasl",
    "snmp": "net-snmp",
    "ssl": "openssl",
    "systemd": "systemd",
    "udev": "systemd",
    "usb": "libusbx",
    "zmq": "zeromq",
    "zlib1g": "zlib",
}
_VERSION: Final = r"(?:-?[0-9][0-9.-]*g?)?"
_HEADERS: Final = re.compile(rf"(?:lib)?(?P<base>.+?)(?P<version>{_VERSION})(?:-(?:openssl|gnutls|nss))?-dev", re.ASCII)
_LIBRARY: Final = re.compile(r"lib(?P<base>.+?)(?P<version>-?[0-9][0-9.-]*g?)", re.ASCII)


def _name_headers(match: re.Match[str]) -> Iterator[str]:
    base, version = match["base"], match["version"]
    for stem in filter(None, (_LIBRARIES.get(base + version), _LIBRARIES.get(base))):
        yield f"{stem}-devel"
    # Some packages keep the version in their names (libxml2-devel), or a part of it without a dash (gtk3-devel).
    major = version.strip("-").partition(".")[0]
    for stem in dict.fromkeys((base + version, base + major, base)):
        yield from (f"{stem}-devel", f"lib{stem}-devel")


def _name_library(match: re.Match[str]) -> Iterator[str]:
    base = match["base"]
    if stem := _LIBRARIES.get(base):
        yield from (f"{stem}-libs", stem)
    yield from (f"lib{base}", f"{base}-libs")


def _name_perl_module(match: re.Match[str]) -> Iterator[str]:
    parts = match["module"].split("-")
    yield "perl-" + "-".join(map(str.capitalize, parts))
    yield "perl-" + "-".join(map(str.upper, parts))


def _name_java(match: re.Match[str]) -> Iterator[str]:
    release = {"8": "1.8.0"}.get(match["release"], match["release"])
    if match["kind"] == "jdk":
        yield f"java-{release}-openjdk-devel"
    else:
        yield f"java-{release}-openjdk{match['headless'] or ''}"


# A package's architecture, as package managers of RPM (`.`) and Debian (`:`) print it.
_ARCHITECTURE: Final = re.compile(
    r"(?:\.(?:x86_64|aarch64|ppc64le|s390x|i686|noarch)|:(?:amd64|arm64|all))\Z", re.ASCII
)
# The forms of Debian's names, with the RPM names that each gives, the likeliest first.
_FORMS: Final[tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], Iterator[str]]], ...]] = (
    (_HEADERS, _name_headers),
    (_LIBRARY, _name_library),
    (re.compile(r"lib(?P<module>.+)-perl", re.ASCII), _name_perl_module),
    (re.compile(r"libapache2-mod-(.+?)[0-9.]*", re.ASCII), lambda match: iter((f"mod_{match[1]}", match[1]))),
    (re.compile(r"linux-image-.+", re.ASCII), lambda _: iter(("kernel",))),
    (re.compile(r"linux-headers-.+", re.ASCII), lambda _: iter(("kernel-devel",))),
    (re.compile(r"linux-tools-.+", re.ASCII), lambda _: iter(("perf",))),
    (re.compile(r"openjdk-(?P<release>[0-9]+)-(?P<kind>jdk|jre)(?P<headless>-headless)?", re.ASCII), _name_java),
    (re.compile(r"php[0-9.]+-(.+)", re.ASCII), lambda match: iter((f"php-{match[1]}", f"php-{match[1]}nd"))),
    (re.compile(r"postgresql-[0-9.]+", re.ASCII), lambda _: iter(("postgresql-server",))),
    (re.compile(r"postgresql-client-[0-9.]+", re.ASCII), lambda _: iter(("postgresql",))),
    (re.compile(r"python-(.+)", re.ASCII), lambda match: iter((f"python3-{match[1]}",))),
    (re.compile(r"python-dev", re.ASCII), lambda _: iter(("python3-devel",))),
    (re.compile(r"python3-(.+)", re.ASCII), lambda match: iter((f"python3-py{match[1]}",))),
    (re.compile(r"qemu-system-.+", re.ASCII), lambda _: iter(("qemu-kvm",))),
    (re.compile(r"ruby-(.+)", re.ASCII), lambda match: iter((f"rubygem-{match[1]}",))),
)


def find_aliases(name: str, known: Container[str]) -> list[str]:
    """Return the names among `known` that RPM distributions give to the content of this package, the likeliest first.

    `known` has the names of the existing packages.
    """
    bare = _ARCHITECTURE.sub("", name)
    candidates = [bare, *_ALIASES.get(bare, ())]
    for form, write in _FORMS:
        match = form.fullmatch(bare)
        if match is not None:
            candidates.extend(write(match))
    return [each for each in dict.fromkeys(candidates) if each in known and each != name]
