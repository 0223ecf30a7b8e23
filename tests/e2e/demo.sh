#!/bin/sh
# The main job, in the user's own lines: a bare host becomes a Docker machine, and a first image runs on it.
#   tests/e2e/demo.sh        (make demo)       leaves the machine running, can be repeated
#   tests/e2e/demo.sh down   (make demo-down)  removes the machine and its host
set -eu
cd "$(dirname "$0")/../.."
PATH=$PWD/.venv/bin:$PATH

machine=demo
folder=${XDG_STATE_HOME:-$HOME/.local/state}/pymachine-demo

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -E "$@"; fi; }
lab() { as_root env PYTHONPATH=tests "$PWD/.venv/bin/python" -m lab "$@"; }
say() { printf '\n== %s\n' "$*"; }
# Shows the line as the user would type it, then runs it in this very shell, so that eval counts.
type_line() { printf '$ %s\n' "$1"; eval "$1"; }
value() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }

down() {
    forget
    lab down "$machine" >/dev/null 2>&1 || true
    rm -rf "$folder"
}

# A machine left from a host that is gone (the computer was restarted) is forgotten, not looked for.
forget() { if pymachine inspect "$machine" >/dev/null 2>&1; then pymachine rm -f "$machine"; fi; }

bare_metal() {
    say "a bare host: its own systemd, sshd, address and package manager, no Docker"
    lab ls --json | python3 -c 'import json, sys; sys.exit(not any(l["name"] == "demo" for l in json.load(sys.stdin)))' \
        || { forget; lab up "$machine" --detach; }
    mkdir -p "$folder"
    lab ls --json | python3 -c '
import json, sys
lab = next(l for l in json.load(sys.stdin) if l["name"] == "demo")
print(lab["hosts"][0]["address"], lab["key"])' >"$folder/host"
    read -r address key <"$folder/host"
    as_root cat "$key" >"$folder/key"
    chmod 600 "$folder/key"
    echo "it answers SSH at $address"
}

main() {
    bare_metal
    say "the host becomes a Docker machine"
    if [ "$(pymachine inspect "$machine" 2>/dev/null | value phase 2>/dev/null)" = ready ]; then
        echo "it is one already, from an earlier run"
    else
        type_line "pymachine create -d ssh --ssh-host $address --ssh-key $folder/key $machine"
    fi

    say "this shell now speaks to its engine"
    type_line "eval \"\$(pymachine env $machine)\""

    say "an image of our own, built and run over there"
    docker=$(lab docker)
    PATH=$(dirname "$docker"):$PATH
    rm -rf "$folder/hello" && mkdir "$folder/hello"
    as_root cat "$(lab busybox)" >"$folder/hello/busybox"
    cat >"$folder/hello/Dockerfile" <<'DOCKERFILE'
FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
CMD ["echo", "hello from a container on a machine that was bare a minute ago"]
DOCKERFILE
    chmod 755 "$folder/hello/busybox"
    type_line "cat $folder/hello/Dockerfile"
    # The classic builder needs no plugin on this side.
    type_line "DOCKER_BUILDKIT=0 docker build -q -t hello:v1 $folder/hello"
    type_line "docker run --rm hello:v1"

    say "all machines"
    type_line "pymachine ls"

    say "yours to play with"
    cat <<END
  export PATH="$PWD/.venv/bin:\$PATH"
  eval "\$(pymachine env $machine)" && docker info
  pymachine ssh $machine
Remove the machine and its host with: make demo-down
END
}

case ${1:-up} in
    up) main ;;
    down) down && echo "the demo machine and its host are gone" ;;
    *) echo "usage: $0 [down]" >&2; exit 2 ;;
esac
