#!/usr/bin/env bash
# tools/try_wheel.sh <folder>: builds the wheel, installs it with what its metadata asks for in an empty environment
# below the folder, and has its command run builds from there. Needs the environment of `make check`.
set -euo pipefail
project=$(cd "$(dirname "$0")/.." && pwd)
python=$project/.venv/bin/python
uv=$project/.venv/bin/uv
mkdir -p "$1"
folder=$(cd "$1" && pwd)

# From a copy: a build writes beside its sources.
git -C "$project" ls-files -z | tar -C "$project" --null -T - -cf - | { mkdir "$folder/sources" && tar -C "$folder/sources" -xf -; }
"$python" -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation \
    --wheel-dir "$folder/dist" "$folder/sources"
wheel=$(echo "$folder"/dist/*.whl)

"$uv" venv --quiet --python "$python" "$folder/environment"
# In the versions that are locked; its metadata names none.
"$uv" pip install --quiet --python "$folder/environment/bin/python" \
    --constraints "$project/requirements/embedded.txt" "$wheel[embedded]"

cd "$folder"
unset PYTHONPATH
environment/bin/image-builder --version
environment/bin/image-builder distributions check > check.log || { cat check.log; exit 1; }
COMPOSER_URL=http://127.0.0.1:1 environment/bin/image-builder config > config.log || { cat config.log; exit 1; }
# Starts a service with `serve --embedded`, migrates its database, and fails unless every build ends as it should. It
# would use a service that answers at the default address.
environment/bin/image-builder demo > demo.log || { cat demo.log; exit 1; }
grep -q "starting one for the demo" demo.log || { cat demo.log; echo "The wheel served nothing." >&2; exit 1; }
tail -1 demo.log
