#!/bin/sh
# engine.sh TREE PACKAGE…: installs the engine into the tree and notes which packages came with it, as the engine's
# own set-up does. Runs beside the tree, as a hook of mmdebstrap.
set -eu
tree=$1
shift

# shellcheck disable=SC2016 # a format of dpkg-query
packages() {
    chroot "$tree" dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' | awk '$1 ~ /^.i/ { print $2 }' | sort -u
}

state=$tree/var/lib/pymachine
mkdir -p -m 700 "$state"
packages >"$state/before"
APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get -q --yes --no-install-recommends \
    -o DPkg::Chroot-Directory="$tree" -o DPkg::Use-Pty=0 install "$@"
packages | comm -13 "$state/before" - >"$state/installed"
rm "$state/before"
# Its first start is the one with its configuration.
systemctl --root="$tree" disable docker.service docker.socket containerd.service
