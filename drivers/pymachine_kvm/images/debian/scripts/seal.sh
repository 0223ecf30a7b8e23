#!/bin/sh
# seal.sh TREE: takes out of the tree all that makes a machine this machine and not another.
set -eu
cd "$1"
# Empty, not missing and not "uninitialized": the first boot makes an identity without turning services on.
: >etc/machine-id
rm -f var/lib/dbus/machine-id etc/ssh/ssh_host_* etc/resolv.conf etc/hostname
rm -f etc/docker/key.json var/lib/docker/engine-id var/lib/systemd/random-seed var/lib/systemd/credential.secret
rm -rf var/lib/cloud var/lib/dhcp/* var/lib/systemd/network/* run/* tmp/* var/tmp/*
rm -rf var/lib/docker var/lib/containerd
rm -rf var/lib/apt/lists/* var/cache/apt/* var/cache/debconf/*-old var/log/apt
find var/log -type f -exec rm -f {} +
rm -rf var/log/journal
ln -s ../run/systemd/resolve/stub-resolv.conf etc/resolv.conf
# Nothing of the tree is older than the tree: no first-boot updates of caches.
touch etc/.updated var/.updated
