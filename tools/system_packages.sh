#!/bin/sh
# The packages of the system this runs on, a line each: type, namespace, name, version, architecture, distribution, and
# the licence where it is known. `tools/sbom.py` reads them. Either of the two package managers may be there for other
# reasons; then it knows of no packages.
set -eu
. /etc/os-release
distribution="$ID-$VERSION_ID"
tab=$(printf '\t')
vendor=$ID
[ "$ID" != rhel ] || vendor=redhat
packages=$({
    rpm -qa --qf "rpm\t$vendor\t%{NAME}\t%{EVR}\t%{ARCH}\t$distribution\t%{LICENSE}\n" || true
    dpkg-query -W -f "deb\t$ID\t\${Package}\t\${Version}\t\${Architecture}\t$distribution\t\n" || true
} 2>/dev/null | grep -v "${tab}gpg-pubkey${tab}" | sort)
[ -n "$packages" ] || {
    echo "neither rpm nor dpkg-query knows of a package: the SBOM would leave out the system" >&2
    exit 1
}
echo "$packages"
