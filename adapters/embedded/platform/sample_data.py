"""The ids and addresses of the documents that the stand-ins have from the start, for tests and the demo."""

from __future__ import annotations

from typing import Final
from uuid import NAMESPACE_URL, uuid5

CONTENT_SOURCES_BASE: Final = "/api/content-sources/v1"
PROVISIONING_BASE: Final = "/api/provisioning/v1"
COMPLIANCE_BASE: Final = "/api/compliance/v2"
RECOMMENDATIONS_BASE: Final = "/recommendations"

CDN: Final = "https://cdn.redhat.com/content/dist"
EPEL: Final = "https://dl.fedoraproject.org/pub/epel"


def red_hat(url: str) -> str:
    """The id of the Red Hat repository at this base URL, with or without a trailing slash."""
    return str(uuid5(NAMESPACE_URL, url.rstrip("/") + "/"))


def gpg_key(name: str) -> str:
    """A text that looks like the GPG key of a repository but is not valid."""
    block = "PGP PUBLIC KEY BLOCK-----"
    return f"-----BEGIN {block}\n\n{uuid5(NAMESPACE_URL, name).hex}\n-----END {block}\n"


def _own(name: str) -> str:
    return str(uuid5(NAMESPACE_URL, f"https://stand-in.invalid/{name}"))


RHEL9_BASEOS_URL: Final = f"{CDN}/rhel9/9/x86_64/baseos/os"
RHEL9_APPSTREAM_URL: Final = f"{CDN}/rhel9/9/x86_64/appstream/os"
# A repository whose label is neither baseos nor appstream.
RHEL9_SUPPLEMENTARY_URL: Final = f"{CDN}/rhel9/9/x86_64/supplementary/os"
RHEL9_BASEOS: Final = red_hat(RHEL9_BASEOS_URL)
RHEL9_APPSTREAM: Final = red_hat(RHEL9_APPSTREAM_URL)

COMMUNITY_URLS: Final = {major: f"{EPEL}/{major}/Everything/x86_64/" for major in (10, 9, 8)}
COMMUNITIES: Final = {major: _own(f"epel-{major}") for major in COMMUNITY_URLS}
COMMUNITY: Final = COMMUNITIES[9]
COMMUNITY_URL: Final = COMMUNITY_URLS[9]

EXTERNAL: Final = _own("external")
EXTERNAL_URL: Final = "https://repositories.example.com/tools/el9/x86_64/"
EXTERNAL_UNSIGNED: Final = _own("external-unsigned")
EXTERNAL_UNSIGNED_URL: Final = "https://repositories.example.com/unsigned/el9/x86_64/"
WITHOUT_SNAPSHOTS: Final = _own("without-snapshots")
WITHOUT_SNAPSHOTS_URL: Final = "https://repositories.example.com/rolling/el9/x86_64/"
UPLOAD: Final = _own("upload")

# The time of the first snapshot of every repository. For an earlier date this snapshot is found, with `is_after` true.
FIRST_SNAPSHOT: Final = "2020-01-01T00:00:00Z"

TEMPLATE: Final = str(uuid5(NAMESPACE_URL, "template"))
TEMPLATE_NAME: Final = "template"
TEMPLATE_DATE: Final = "2025-06-01T00:00:00Z"

AWS_ACCOUNTS: Final = {"1": "123456789012", "2": "210987654321"}
AZURE_SOURCE: Final = "3"

POLICY_RHEL9: Final = "4f1e8a52-9c3d-4b6a-8f70-1d2c3b4a5e69"
POLICY_RHEL10: Final = "7d5b0c14-2e8f-4a39-b6c1-90e8d7f6a510"
# A policy for RHEL 9 with empty tailorings.
POLICY_EMPTY: Final = "c2a97e36-5b10-4d8e-a4f3-6e7d8c9b0a12"
PROFILE_RHEL9: Final = "xccdf_org.ssgproject.content_profile_cis"
PROFILE_RHEL10: Final = "xccdf_org.ssgproject.content_profile_stig"
# The minor versions for which each policy has a tailoring from the start; others are added by POST.
TAILORED: Final = {
    POLICY_RHEL9: (2, 3, 4, 5, 6, 7, 8),
    POLICY_RHEL10: (1, 2),
    POLICY_EMPTY: (2, 3, 4, 5, 6, 7, 8),
}
# The packages in the blueprints of the first two policies.
POLICY_PACKAGES: Final = ("aide", "sudo")
