#!/usr/bin/env bash
# Makes the virtual environment in $VENV with $PYTHON, for `make`:
#   tools/environment.sh embedded      the service with everything that `make run` needs
#   tools/environment.sh development   besides, what tests and checks need
# $VENV/.incomplete exists while packages are being installed. After an interruption or a failure it is still there, and
# the next run makes the environment anew, since packages may be broken.
set -euo pipefail
set_of_packages=$1
again="then run make ${GOAL:-run} again."
environment_python=$VENV/bin/python

fail() {
    echo "$*" >&2
    exit 1
}

trap 'echo "The virtual environment is not complete: run make ${GOAL:-run} again, which makes it anew." >&2; exit 130' INT TERM HUP

"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    fail "Python 3.11 or newer is needed, and $PYTHON is $("$PYTHON" --version 2>&1 || true)." \
        "Name another one: make ${GOAL:-run} PYTHON=python3.12"
# An environment is made anew in an empty folder.
if [ -e "$VENV" ] && [ ! -e "$VENV/pyvenv.cfg" ] && [ ! -e "$VENV/.incomplete" ] && [ -n "$(ls -A "$VENV")" ]; then
    fail "$VENV is not a virtual environment: name another folder with VENV=."
fi

is_usable() {
    [ ! -e "$VENV/.incomplete" ] &&
        "$environment_python" -c 'import pip, sys; sys.exit(sys.version_info < (3, 11) or sys.prefix == sys.base_prefix)'
} 2>/dev/null

install() {
    "$environment_python" -m pip install --quiet --disable-pip-version-check "$@" ||
        fail "The packages could not be installed; pip says why above. Check the network (and HTTPS_PROXY), $again"
}

if ! is_usable; then
    echo "Making the virtual environment in $VENV (once) ..."
    mkdir -p "$VENV" || fail "The folder of the virtual environment cannot be made: name another one with VENV=."
    find "$VENV" -mindepth 1 -delete
    touch "$VENV/.incomplete"
    "$PYTHON" -m venv "$VENV" ||
        fail "The virtual environment cannot be made. On Debian and Ubuntu: apt install python3-venv; $again"
fi
touch "$VENV/.incomplete"
install --require-hashes -r requirements/embedded.txt
install --no-deps --no-build-isolation --editable .
if [ "$set_of_packages" = development ]; then
    install --require-hashes -r requirements/development.txt
    touch "$VENV/.embedded" "$VENV/.development"
else
    touch "$VENV/.embedded"
fi
rm "$VENV/.incomplete"
