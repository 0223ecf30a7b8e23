#!/bin/sh
# The main job, in the user's own lines: a virtual machine with a Docker engine, from nothing, and a first image on it.
#   tests/e2e/demo.sh        (make demo)       leaves the machine running, can be repeated
#   tests/e2e/demo.sh down   (make demo-down)  removes the machine, and its image with it
# It installs what this needs and no more: `make test` adds the rest to the same environment.
set -eu
cd "$(dirname "$0")/../.."
PATH=$PWD/.venv/bin:$PATH

machine=node1
image=debian-13-docker
python=${PYTHON:-python3}
folder=${XDG_STATE_HOME:-$HOME/.local/state}/pymachine-demo
client=$folder/client
export MACHINE_STORAGE_PATH="$folder/store"
began=$(date +%s)
jobs=""
job_limit=600

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -E "$@"; fi; }
# The standard library is enough for it, so it runs before anything is installed.
lab() { as_root env PYTHONPATH=tests "$python" -m lab "$@"; }
spent() { echo $(($(date +%s) - began)); }
say() { printf '\n== %s s: %s\n' "$(spent)" "$*"; }
# Shows the line as the user would type it, then runs it in this very shell, so that eval counts.
type_line() { printf '$ %s\n' "$1"; eval "$1"; }

have_image() { pymachine image ls | awk 'NR > 1 { print $1 }' | grep -qx "$image"; }
value() { "$python" -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }
is_current() { [ -n "$(find "$1" -newer pyproject.toml 2>/dev/null)" ]; }

# What runs beside something else is this script again, as a job with a limit of its own: its output is kept, and
# shown if it fails. timeout gives it a process group, and passes a signal on to all of that.
begin() {
    timeout "$job_limit" tests/e2e/demo.sh "$1" >"$folder/$1.log" 2>&1 </dev/null &
    jobs="$jobs $!"
    eval "job_$1=$!"
}

await() {
    eval "job=\$job_$1"
    # shellcheck disable=SC2154  # set by the eval
    if ! wait "$job"; then
        echo "error: this failed beside the rest, $2:" >&2
        tail -n 20 "$folder/$1.log" >&2
        exit 1
    fi
}

end_jobs() {
    for job in $jobs; do kill "$job" 2>/dev/null || true; done
    jobs=""
}

environment() {
    if is_current .venv/.ready || is_current .venv/.core; then return; fi
    "$python" -m venv .venv
    .venv/bin/pip install -q --disable-pip-version-check -e .
    touch .venv/.core
}

# The package is there already, so that this adds what its extra names and leaves the command in its place.
binding() {
    if is_current .venv/.ready || is_current .venv/.kvm; then return; fi
    .venv/bin/pip install -q --disable-pip-version-check 'pymachine-docker[kvm]'
    touch .venv/.kvm
}

# The docker client and a static busybox as files: nothing of them is installed.
programs() {
    mkdir -p "$client"
    cd "$client"
    if ! command -v docker && ! usr/bin/docker --version; then
        unpack "$(if apt-cache show docker-cli >/dev/null; then echo docker-cli; else echo docker.io; fi)"
        usr/bin/docker --version
    fi
    static_busybox || unpack busybox-static
    static_busybox
}

unpack() {
    rm -f ./*.deb
    apt-get download -q "$1"
    for archive in ./*.deb; do dpkg-deb -x "$archive" .; done
    rm -f ./*.deb
}

static_busybox() {
    for place in "$client/bin/busybox" "$client/usr/bin/busybox"; do
        if [ -x "$place" ]; then
            echo "$place"
            return
        fi
    done
    return 1
}

down() {
    environment
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

announce() {
    cat <<END
This takes about four minutes on two cores without hardware virtualisation, and half of that when given again.
What takes longest: the first boot of the machine, which is emulated there (about 80 s), an image for it, built from
Debian's packages (about 70 s, kept for later), and packages of this computer that are missing (up to 60 s).
END
}

main() {
    mkdir -p "$folder"
    trap end_jobs EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    announce

    say "what this computer lacks for virtual machines, and pymachine itself in .venv beside it"
    begin environment
    lab prepare --machines
    # Lists of packages are not part of a container image of Debian.
    apt-cache show busybox-static >/dev/null 2>&1 || as_root apt-get update -q
    await environment "pip install"
    begin binding
    begin programs
    lab libvirt up
    choose_libvirt

    say "an image with the engine inside; libvirt's Python binding and a docker client are fetched beside it"
    if have_image; then
        echo "it is there, from an earlier run"
    else
        type_line "pymachine image build debian-13 --with-engine"
    fi
    await binding "pip install 'pymachine-docker[kvm]'"

    say "the machine: a first boot"
    if [ "$(pymachine inspect "$machine" 2>/dev/null | value phase 2>/dev/null)" = ready ]; then
        echo "it is there, from an earlier run"
        type_line "pymachine start $machine"
    else
        type_line "pymachine create -d kvm $machine"
    fi

    say "this shell now speaks to its engine"
    type_line "eval \"\$(pymachine env $machine)\""

    say "an image of our own, built and run over there"
    await programs "fetching a docker client and busybox"
    command -v docker >/dev/null || PATH=$client/usr/bin:$PATH
    rm -rf "$folder/hello" && mkdir "$folder/hello"
    cp "$(static_busybox)" "$folder/hello/busybox"
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
    echo "($(spent) s from the command to this greeting)"

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
    environment | binding | programs) "$1" ;;
    *) echo "usage: $0 [down]" >&2; exit 2 ;;
esac
