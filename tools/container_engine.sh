#!/usr/bin/env bash
# A Docker engine for tests, where there is none and no image registry can be reached: Debian's own, with images made of
# Debian's packages. As root on Debian or one of its kin.
#
#   tools/container_engine.sh prepare DIR   install what is missing, make root file systems: may run in the background
#   tools/container_engine.sh start DIR     run the engine, or use one that answers, and make the images from these;
#                                           prints the variables that the tests want, as `export` lines
#   tools/container_engine.sh stop DIR      end what `start` has begun and take away all of it, DIR too
#
# An engine that answers already keeps all of its own: ours are images named image-builder-test/… (their layers may stay in
# its build cache), and containers of these.
set -euo pipefail

command=${1:?prepare, start or stop}
directory=$(realpath -m "${2:?a directory}")
here=$(dirname "$(realpath "$0")")
name=image-builder-test
# Two runs that share an engine do not take away each other's images.
tag=$(basename "$directory" | tr -c '[:alnum:]\n' -)
socket=unix://$directory/docker.sock
cgroup=/image-builder-test
wheels=${PIP_FIND_LINKS:-}
bundle=${PIP_CERT:-${REQUESTS_CA_BUNDLE:-${SSL_CERT_FILE:-}}}

# Where much is written for a short time: in memory, where there is room.
scratch=$directory/scratch
[ "$(df --output=avail -B1M /dev/shm 2>/dev/null | tail -1)" -gt 8192 ] && scratch=/dev/shm/$(basename "$directory")

answers() { docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

# --- prepare ---------------------------------------------------------------------------------------------------------

# The machine's own packages: nothing else is known to be within reach.
root_file_system() {
    local file=$1 packages=$2 sources=()
    [ -s /etc/apt/sources.list.d/debian.sources ] && sources=(/etc/apt/sources.list.d/debian.sources)
    # Without the compiler that PostgreSQL can use, a quarter of the size. TMPDIR is where mmdebstrap unpacks.
    mkdir -p "$scratch"
    chmod 755 "$scratch"
    TMPDIR=$scratch mmdebstrap --quiet --variant=apt --mode=root --include="$packages" \
        --dpkgopt=force-unsafe-io \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
        --dpkgopt='path-exclude=*/libLLVM*' --dpkgopt='path-exclude=/usr/lib/postgresql/*/lib/llvmjit*' \
        --dpkgopt='path-exclude=/usr/lib/postgresql/*/lib/bitcode/*' \
        --aptopt='Acquire::Languages "none"' \
        --customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/* "$1"/var/log/*' \
        "$(. /etc/os-release && echo "$VERSION_CODENAME")" "$directory/$file.part.tar" "${sources[@]}" < /dev/null
    mv "$directory/$file.part.tar" "$directory/$file.tar"
}

prepare() {
    [ "$(id -u)" = 0 ] || { echo "not root: no engine can be started" >&2; exit 1; }
    mkdir -p "$directory"
    chmod 755 "$directory"
    local wanted=()
    answers || for package in docker.io:dockerd iptables:iptables runc:runc iproute2:ip; do
        command -v "${package#*:}" >/dev/null || wanted+=("${package%:*}")
    done
    # Newer Debians have the client in a package of its own.
    command -v docker >/dev/null || ! apt-cache show docker-cli >/dev/null 2>&1 || wanted+=(docker-cli)
    command -v mmdebstrap >/dev/null || wanted+=(mmdebstrap)
    if [ "${#wanted[@]}" -gt 0 ]; then
        apt-get update -qq
        apt-get install -y -qq --no-install-recommends "${wanted[@]}"
    fi
    local postgres
    postgres=$(apt-cache search --names-only '^postgresql-[0-9]+$' | sort -t- -k2 -n | sed -n '1s/ .*//p')
    local process making=() failed=0
    root_file_system python python3,python3-venv,ca-certificates &
    making+=($!)
    root_file_system postgres "$postgres" &
    making+=($!)
    # Of both, also where one fails: none goes on when this has ended.
    for process in "${making[@]}"; do wait "$process" || failed=1; done
    return "$failed"
}

# --- start -----------------------------------------------------------------------------------------------------------

# What a run left that was killed: its directory is named after a process that is no more.
sweep() {
    local left owner
    for left in "$(dirname "$directory")/$(basename "${directory%.*}")".*; do
        owner=${left##*.}
        if [ -d "$left" ] && [ "$left" != "$directory" ] && [[ $owner =~ ^[0-9]+$ ]] && ! [ -e "/proc/$owner" ]; then
            echo "taking away what $left has left" >&2
            "$here/container_engine.sh" stop "$left"
        fi
    done
}

run_engine() {
    iptables-save > "$directory/iptables.before"
    cat /proc/sys/net/ipv4/ip_forward > "$directory/ip_forward.before"
    [ -e /sys/class/net/docker0 ] && touch "$directory/docker0.before"
    # The last two come from older engines: a key, and a folder that stays empty.
    for place in /run/containerd /run/docker /etc/docker/key.json /opt/containerd; do
        [ -e $place ] || echo $place >> "$directory/made"
    done
    mkdir -p "$scratch"
    touch "$directory/begun"
    # TMPDIR is where containerd writes down what it does when it is slow to start.
    TMPDIR=$directory setsid dockerd --data-root "$scratch/data" --exec-root "$directory/exec" -H "$socket" \
        -p "$directory/docker.pid" --cgroup-parent "$cgroup" > "$directory/dockerd.log" 2>&1 < /dev/null &
    local process=$! try place
    for try in $(seq 300); do
        DOCKER_HOST=$socket answers && return
        kill -0 "$process" 2>/dev/null || break
        sleep 0.2
    done
    echo "dockerd does not start:" >&2
    tail -5 "$directory/dockerd.log" >&2
    return 1
}

images() {
    docker import --change 'CMD ["python3"]' "$directory/python.tar" "$name/python:base-$tag"
    # pip needs what this machine's pip has: to build with, never to ship.
    local context=$directory/build-base
    mkdir -p "$context/wheels"
    cp "${bundle:-/etc/ssl/certs/ca-certificates.crt}" "$context/ca.crt"
    [ -d "$wheels" ] && cp -r "$wheels/." "$context/wheels/"
    printf '%s\n' "FROM $name/python:base-$tag" "COPY ca.crt /build/ca.crt" "COPY wheels /build/wheels" \
        "ENV PIP_CERT=/build/ca.crt PIP_FIND_LINKS=/build/wheels PIP_DISABLE_PIP_VERSION_CHECK=1" \
        > "$context/Dockerfile"
    docker build --quiet --tag "$name/python:build-$tag" "$context"
    docker import "$directory/postgres.tar" "$name/postgres:base-$tag"
    docker build --quiet --tag "$name/postgres:server-$tag" --build-arg BASE="$name/postgres:base-$tag" \
        "$here/../tests/containers/postgres"
}

start() {
    export DOCKER_BUILDKIT=0
    sweep
    if answers; then
        echo "using the engine that answers" >&2
    else
        run_engine
        export DOCKER_HOST=$socket
        echo "export DOCKER_HOST=$socket"
    fi
    touch "$directory/images"
    images >&2
    rm -f "$directory"/*.tar
    cat <<END
export TEST_BASE_IMAGE=$name/python:base-$tag
export TEST_BUILD_BASE_IMAGE=$name/python:build-$tag
export TEST_CONTAINER_POSTGRES_IMAGE=$name/postgres:server-$tag
export TESTCONTAINERS_RYUK_DISABLED=true
export TESTCONTAINERS_CONNECTION_MODE=docker_host
END
}

# --- stop ------------------------------------------------------------------------------------------------------------

# Asks, waits, insists.
end_process() {
    local process=$1 name=$2 try
    [[ -r /proc/$process/comm && $(cat "/proc/$process/comm") == "$name"* ]] || return 0
    kill "$process" 2>/dev/null || return 0
    for try in $(seq 150); do
        kill -0 "$process" 2>/dev/null || return 0
        sleep 0.2
    done
    kill -KILL "$process" 2>/dev/null || true
}

remove_images() {
    local ids id
    ids=$(docker images --quiet --filter "reference=$name/*:*-$tag" | sort -u) || return 0
    for id in $ids; do
        docker ps --all --quiet --filter "ancestor=$id" | xargs -r docker rm --force --volumes >/dev/null || true
    done
    echo "$ids" | xargs -r docker rmi --force >/dev/null || true
}

# Rules and chains of others stay, whatever has happened to them meanwhile.
remove_network() {
    [ -e "$directory/docker0.before" ] && return
    local policy
    policy=$(grep -m1 '^:FORWARD' "$directory/iptables.before" | cut -d' ' -f2 || true)
    iptables-save | grep -vE '[: ]DOCKER|docker0' | iptables-restore || true
    iptables --policy FORWARD "${policy:-ACCEPT}" || true
    cat "$directory/ip_forward.before" > /proc/sys/net/ipv4/ip_forward || true
    ip link delete docker0 || true
}

stop() {
    if [ -e "$directory/begun" ]; then
        local process group
        if DOCKER_HOST=$socket answers; then
            docker --host "$socket" ps --all --quiet | xargs -r docker --host "$socket" rm --force --volumes >/dev/null || true
        fi
        [ -e "$directory/docker.pid" ] && end_process "$(cat "$directory/docker.pid")" dockerd
        # Of a dockerd that was killed.
        [ -e "$directory/exec/containerd/containerd.pid" ] \
            && end_process "$(cat "$directory/exec/containerd/containerd.pid")" containerd
        for process in $(pgrep -f "containerd-shim.*$directory/exec" || true); do end_process "$process" containerd; done
        remove_network
        [ -e "$directory/made" ] && xargs rm -rf --one-file-system < "$directory/made"
        for group in /sys/fs/cgroup "/sys/fs/cgroup/"*; do
            [ -d "$group$cgroup" ] && find "$group$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null || true
        done
    elif [ -e "$directory/images" ] && answers; then
        remove_images
    fi
    local place try
    for place in "$directory" "/dev/shm/$(basename "$directory")"; do
        # The deepest first.
        grep -F " $place/" /proc/mounts | cut -d' ' -f2 | sort -r | xargs -r umount --lazy || true
        # Servers of tests that were cut short may still be writing while they end.
        for try in $(seq 50); do
            rm -rf --one-file-system "$place" 2>/dev/null && break
            sleep 0.2
        done
        [ ! -e "$place" ] || echo "$place cannot be taken away" >&2
    done
}

case $command in
    prepare | start | stop) "$command" ;;
    *) echo "prepare, start or stop?" >&2; exit 2 ;;
esac
