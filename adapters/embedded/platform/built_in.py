"""The documents of the sample data, which the stand-ins have from the start."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import orjson

from adapters.embedded.platform import sample_data
from adapters.embedded.platform.state import Documents, repository
from adapters.files.distributions import load_distributions
from adapters.files.project_files import DISTRIBUTIONS
from domain.distributions import Distribution, rhel_version

RED_HAT_PATH: Final = re.compile(
    r".*/content/(?P<stage>dist|beta)/(?:layered/)?rhel(?P<major>\d+)/(?:(?P<version>[\d.]+)/)?(?P<arch>\w+)/(?P<what>.+)/os/?"
)


def built_in(directory: Path = DISTRIBUTIONS) -> dict[str, Documents]:
    """The documents by kind and id. The Red Hat repositories are those of the distributions in `directory`."""
    repositories = [*_red_hat(load_distributions(directory).values()), *_own()]
    return {
        "repositories": {one["uuid"]: one for one in repositories},
        "templates": {sample_data.TEMPLATE: _template()},
        "sources": {
            **{
                source: {"provider": "aws", "aws": {"account_id": id_}}
                for source, id_ in sample_data.AWS_ACCOUNTS.items()
            },
            sample_data.AZURE_SOURCE: {"provider": "azure", "azure": _azure()},
        },
        "policies": {policy["id"]: policy for policy in _policies()},
    }


def _red_hat(distributions: Iterable[Distribution]) -> Iterator[dict[str, Any]]:
    versions: dict[str, tuple[int, int]] = {}
    for distribution in distributions:
        for architecture in distribution.architectures.values():
            version = rhel_version(distribution.canonical_name) or (0, 0)
            for url in (one.baseurl for one in architecture.repositories if one.rhsm and one.baseurl):
                versions[url] = max(version, versions.get(url, version))
    for major in (8, 9, 10):
        for architecture_name in ("x86_64", "aarch64"):
            versions[f"{sample_data.CDN}/rhel{major}/{major}/{architecture_name}/supplementary/os"] = (0, 0)
    for url, found in versions.items():
        yield _red_hat_repository(url, "{}.{}".format(*found) if any(found) and "/baseos/" in url else "")


def _red_hat_repository(url: str, detected_os_version: str) -> dict[str, Any]:
    label, major, architecture = url, "", ""
    if match := RED_HAT_PATH.fullmatch(url):
        major, architecture = match["major"], match["arch"]
        beta = "-beta" if match["stage"] == "beta" else ""
        what = match["what"].replace("/", "-")
        layered = match["version"] is None
        label = f"{what}-for-rhel-{major}-{architecture}" if layered else f"rhel-{major}-for-{architecture}-{what}"
        label += f"{beta}-rpms"
    return {
        **repository(sample_data.red_hat(url), "red_hat", f"Red Hat {label}", url.rstrip("/") + "/"),
        "label": label,
        "gpg_key": sample_data.gpg_key("Red Hat"),
        "distribution_arch": architecture,
        "distribution_versions": [major],
        "detected_os_version": detected_os_version,
        "org_id": "-1",
    }


def _own() -> Iterator[dict[str, Any]]:
    for major, url in sample_data.COMMUNITY_URLS.items():
        name = f"EPEL {major} Everything x86_64"
        key = sample_data.gpg_key(name)
        yield repository(sample_data.COMMUNITIES[major], "community", name, url) | {"gpg_key": key, "org_id": "-2"}
    yield repository(sample_data.EXTERNAL, "external", "tools", sample_data.EXTERNAL_URL) | {
        "gpg_key": sample_data.gpg_key("tools"),
        "metadata_verification": True,
        "module_hotfixes": True,
    }
    yield repository(sample_data.EXTERNAL_UNSIGNED, "external", "unsigned", sample_data.EXTERNAL_UNSIGNED_URL)
    yield repository(sample_data.WITHOUT_SNAPSHOTS, "external", "rolling", sample_data.WITHOUT_SNAPSHOTS_URL) | {
        "snapshot": False
    }
    yield repository(sample_data.UPLOAD, "upload", "uploaded", "") | {"gpg_key": sample_data.gpg_key("uploaded")}


def _template() -> dict[str, Any]:
    return {
        "uuid": sample_data.TEMPLATE,
        "name": sample_data.TEMPLATE_NAME,
        "description": "",
        "version": "9",
        "arch": "x86_64",
        "date": sample_data.TEMPLATE_DATE,
        "use_latest": False,
        "repository_uuids": [sample_data.RHEL9_BASEOS, sample_data.RHEL9_APPSTREAM, sample_data.EXTERNAL],
    }


def _azure() -> dict[str, Any]:
    return {
        "tenant_id": "617807e1-e4e0-4855-983c-1e3ce1e49674",
        "subscription_id": "4b9d213f-712f-4d17-a483-8a10bbe9df3a",
        "resource_groups": ["images"],
    }


def _policies() -> Iterator[dict[str, Any]]:
    yield _policy(sample_data.POLICY_RHEL9, 9, sample_data.PROFILE_RHEL9)
    yield _policy(sample_data.POLICY_RHEL10, 10, sample_data.PROFILE_RHEL10)
    yield _policy(sample_data.POLICY_EMPTY, 9, sample_data.PROFILE_RHEL9) | {"json": None, "toml": None}


def _policy(policy_id: str, major: int, profile: str) -> dict[str, Any]:
    tailoring = {"profiles": [{"id": profile, "base_profile_id": profile, "rules": {"package_aide_installed": {}}}]}
    return {
        "id": policy_id,
        "title": f"Policy for RHEL {major}",
        "os_major_version": major,
        "ref_id": profile,
        "minors": list(sample_data.TAILORED[policy_id]),
        "json": orjson.dumps(tailoring, option=orjson.OPT_INDENT_2).decode() + "\n",
        "toml": BLUEPRINT.format(major=major, profile=profile),
    }


BLUEPRINT: Final = """\
name = "hardened"
description = "Policy for RHEL {major}"
version = "1.0.0"

[[packages]]
name = "aide"
version = "*"

[[packages]]
name = "sudo"
version = "*"

[customizations]
fips = true

[customizations.kernel]
append = "audit=1 audit_backlog_limit=8192"

[customizations.services]
enabled = ["crond", "firewalld"]
disabled = ["nfs-server", "rpcbind"]
masked = ["autofs"]

[[customizations.filesystem]]
mountpoint = "/home"
size = 1073741824

[[customizations.filesystem]]
mountpoint = "/tmp"
size = "1 GiB"

[customizations.openscap]
profile_id = "{profile}"
"""
