#!/bin/sh
# Reads the seed, a disk labelled cidata (cloud-init's NoCloud), early at every boot and without waiting for udev. One
# that holds pymachine.sh asks for nothing that this could not do in seconds: it is run, and cloud-init is not. Any
# other seed, and one that shows up later only, is cloud-init's: see pymachine-cloud-init.service.
set -u
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
umask 022
place=/run/pymachine-seed

# The engine's first start has no network and no bus to wait for: it has neither containers nor a cluster. What it
# waits for is taken out of copies of its units that the next boot does not find.
hurry() {
    [ ! -e /var/lib/docker ] && [ -f /usr/lib/systemd/system/docker.service ] || return 0
    mkdir -p /run/systemd/system
    for unit in containerd.service docker.service; do
        sed -E '/^(After|Wants)=/s/(network-online\.target|network\.target|dbus\.service)//g' \
            "/usr/lib/systemd/system/$unit" >"/run/systemd/system/$unit" || rm -f "/run/systemd/system/$unit"
    done
    systemctl start --no-block containerd.service pymachine-modules.service
}

for disk in /sys/class/block/vd[b-z] /sys/class/block/sr[0-9] /sys/class/block/sd[b-z]; do
    device=/dev/${disk##*/}
    [ "$(blkid -p -s LABEL -o value "$device" 2>/dev/null)" = cidata ] || continue
    [ -d "$place" ] || install -d -m 700 "$place"
    mount -t iso9660 -o ro,nosuid,nodev,noexec "$device" "$place" || continue
    code=0
    if [ -f "$place/pymachine.sh" ]; then
        # Where it fails cloud-init makes up for it.
        if sh "$place/pymachine.sh" "$place"; then
            mkdir -p /run/cloud-init
            : >/run/cloud-init/disabled
            hurry
        else
            code=1
        fi
    fi
    umount "$place"
    exit "$code"
done
