"""The ids and URLs of the documents that the stand-in platform has from the start, for tests and the demo.

The documents themselves are in `built_in.py`. A constant that names a repository, template or policy is its id; the URL
of a repository is in the constant of the same name with the suffix `_URL`.
"""

from __future__ import annotations

from typing import Final
from uuid import NAMESPACE_URL, uuid5

# The base path of each back-end's API.
CONTENT_SOURCES_BASE: Final = "/api/content-sources/v1"
PROVISIONING_BASE: Final = "/api/provisioning/v1"
COMPLIANCE_BASE: Final = "/api/compliance/v2"
RECOMMENDATIONS_BASE: Final = "/recommendations"

# URLs under which Red Hat and Fedora (EPEL: Extra Packages for Enterprise Linux) publish their repositories.
CDN: Final = "https://cdn.redhat.com/content/dist"
EPEL: Final = "https://dl.fedoraproject.org/pub/epel"


def red_hat(url: str) -> str:
    """Return the id of the Red Hat repository at this base URL; a trailing slash makes no difference."""
    return str(uuid5(NAMESPACE_URL, url.rstrip("/") + "/"))


def gpg_key(name: str) -> str:
    """Return a text that looks like an armored GPG public key but is not valid. Each `name` has another one."""
    block = "PGP PUBLIC KEY BLOCK-----"
    return f"-----BEGIN {block}\n\n{uuid5(NAMESPACE_URL, name).hex}\n-----END {block}\n"


def _custom_repository_id(name: str) -> str:
    return str(uuid5(NAMESPACE_URL, f"https://stand-in.invalid/{name}"))


RHEL9_BASEOS_URL: Final = f"{CDN}/rhel9/9/x86_64/baseos/os"
RHEL9_APPSTREAM_URL: Final = f"{CDN}/rhel9/9/x86_64/appstream/os"
# For tests of a Red Hat repository that is neither BaseOS nor AppStream.
RHEL9_SUPPLEMENTARY_URL: Final = f"{CDN}/rhel9/9/x86_64/supplementary/os"
RHEL9_BASEOS: Final = red_hat(RHEL9_BASEOS_URL)
RHEL9_APPSTREAM: Final = red_hat(RHEL9_APPSTREAM_URL)

# Repositories with the origin `community`, which are those of EPEL, by the major version of RHEL. COMMUNITY is
# the one for RHEL 9.
COMMUNITY_URLS: Final = {major: f"{EPEL}/{major}/Everything/x86_64/" for major in (10, 9, 8)}
COMMUNITIES: Final = {major: _custom_repository_id(f"epel-{major}") for major in COMMUNITY_URLS}
COMMUNITY: Final = COMMUNITIES[9]
COMMUNITY_URL: Final = COMMUNITY_URLS[9]

# Repositories of a customer on a web server, with the origin `external`. The unsigned one has no GPG key.
EXTERNAL: Final = _custom_repository_id("external")
EXTERNAL_URL: Final = "https://repositories.example.com/tools/el9/x86_64/"
EXTERNAL_UNSIGNED: Final = _custom_repository_id("external-unsigned")
EXTERNAL_UNSIGNED_URL: Final = "https://repositories.example.com/unsigned/el9/x86_64/"
WITHOUT_SNAPSHOTS: Final = _custom_repository_id("without-snapshots")
WITHOUT_SNAPSHOTS_URL: Final = "https://repositories.example.com/rolling/el9/x86_64/"
# A repository with the origin `upload`: the customer has uploaded its packages, so it has no URL.
UPLOAD: Final = _custom_repository_id("upload")

# The time of the first snapshot of each repository whose document has no other `first_snapshot`. For an earlier date
# this snapshot is found, with `is_after` true.
FIRST_SNAPSHOT: Final = "2020-01-01T00:00:00Z"

TEMPLATE: Final = str(uuid5(NAMESPACE_URL, "template"))
TEMPLATE_NAME: Final = "template"
TEMPLATE_DATE: Final = "2025-06-01T00:00:00Z"

# Sources in the Provisioning service are a customer's cloud accounts. AWS account numbers by the source's id.
AWS_ACCOUNTS: Final = {"1": "123456789012", "2": "210987654321"}
# The id of the source with an Azure subscription.
AZURE_SOURCE: Final = "3"

POLICY_RHEL9: Final = "4f1e8a52-9c3d-4b6a-8f70-1d2c3b4a5e69"
POLICY_RHEL10: Final = "7d5b0c14-2e8f-4a39-b6c1-90e8d7f6a510"
# A policy for RHEL 9 whose tailorings (changes to the rules of a profile) are empty.
POLICY_EMPTY: Final = "c2a97e36-5b10-4d8e-a4f3-6e7d8c9b0a12"
# Ids of the OpenSCAP profiles that the policies are based on.
PROFILE_RHEL9: Final = "xccdf_org.ssgproject.content_profile_cis"
PROFILE_RHEL10: Final = "xccdf_org.ssgproject.content_profile_stig"
# The minor versions of RHEL for which each policy has a tailoring from the start. POST of a tailoring adds others.
TAILORED: Final = {
    POLICY_RHEL9: (2, 3, 4, 5, 6, 7, 8),
    POLICY_RHEL10: (1, 2),
    POLICY_EMPTY: (2, 3, 4, 5, 6, 7, 8),
}
# The packages in the blueprints of POLICY_RHEL9 and POLICY_RHEL10.
POLICY_PACKAGES: Final = ("aide", "sudo")
