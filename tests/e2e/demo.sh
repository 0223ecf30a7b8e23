#!/bin/sh
# The main job, in the user's own lines: a virtual machine with a Docker engine, from nothing, and a first image on it.
#   tests/e2e/demo.sh        (make demo)       leaves the machine running, can be repeated
#   tests/e2e/demo.sh down   (make demo-down)  removes the machine, and its image with it
set -eu
cd "$(dirname "$0")/../.."
PATH=$PWD/.venv/bin:$PATH

machine=node1
image=debian-13-docker
folder=${XDG_STATE_HOME:-$HOME/.local/state}/pymachine-demo
export MACHINE_STORAGE_PATH="$folder/store"

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -E "$@"; fi; }
lab() { as_root env PYTHONPATH=tests "$PWD/.venv/bin/python" -m lab "$@"; }
say() { printf '\n== %s\n' "$*"; }
# Shows the line as the user would type it, then runs it in this very shell, so that eval counts.
type_line() { printf '$ %s\n' "$1"; eval "$1"; }

have_image() { pymachine image ls | awk 'NR > 1 { print $1 }' | grep -qx "$image"; }
value() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }

down() {
    if pymachine inspect "$machine" >/dev/null 2>&1; then pymachine rm -y "$machine"; fi
    if have_image; then pymachine image rm "$image"; fi
    lab libvirt down
    rm -rf "$folder"
}

# A user who may not speak to the system's libvirt has one of their own.
choose_libvirt() {
    if ! virsh -c qemu:///system list >/dev/null 2>&1; then
        export LIBVIRT_DEFAULT_URI=qemu:///session
        echo "no right to qemu:///system: taking qemu:///session"
    fi
}

main() {
    mkdir -p "$folder"
    say "libvirt"
    lab libvirt up
    choose_libvirt

    say "an image with the engine inside, from Debian's packages (a minute or two; kept for later)"
    if have_image; then
        echo "it is there, from an earlier run"
    else
        type_line "pymachine image build debian-13 --with-engine"
    fi

    say "the machine (a minute or two where it has to be emulated)"
    if [ "$(pymachine inspect "$machine" 2>/dev/null | value phase 2>/dev/null)" = ready ]; then
        echo "it is there, from an earlier run"
        type_line "pymachine start $machine"
    else
        type_line "pymachine create -d kvm $machine"
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
CMD ["echo", "hello from a container on a machine that did not exist a minute ago"]
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
  export PATH="$PWD/.venv/bin:\$PATH" MACHINE_STORAGE_PATH="$MACHINE_STORAGE_PATH"
  eval "\$(pymachine env $machine)" && docker info
  pymachine ssh $machine
Remove the machine and its image with: make demo-down
END
}

case ${1:-up} in
    up) main ;;
    down) down && echo "the demo machine is gone" ;;
    *) echo "usage: $0 [down]" >&2; exit 2 ;;
esac
