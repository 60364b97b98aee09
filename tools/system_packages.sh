#!/bin/sh
# The packages of the system this runs on, a line each: type, namespace, name, version, architecture, distribution, and
# the licence where it is known. `tools/sbom.py` reads them.
set -eu
. /etc/os-release
distribution="$ID-$VERSION_ID"
tab=$(printf '\t')
if command -v rpm >/dev/null; then
    vendor=$ID
    [ "$ID" = rhel ] && vendor=redhat
    rpm -qa --qf "rpm\t$vendor\t%{NAME}\t%{EVR}\t%{ARCH}\t$distribution\t%{LICENSE}\n" | grep -v "${tab}gpg-pubkey${tab}" | sort
elif command -v dpkg-query >/dev/null; then
    dpkg-query -W -f "deb\t$ID\t\${Package}\t\${Version}\t\${Architecture}\t$distribution\t\n" | sort
else
    echo "neither rpm nor dpkg-query: the SBOM would leave out the system" >&2
    exit 1
fi
