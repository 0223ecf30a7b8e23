#!/bin/sh
# shellcheck disable=SC2154 # variables of the initrd's init
# Makes the root file system writable right away, so that the system need not wait for its disks to be found by udev
# before it can be. One that is to be checked stays as it is mounted, and systemd checks it (systemd-fsck-root).
[ "$1" != prereqs ] || exit 0

[ "$forcefsck" != y ] && [ -z "$fsckfix" ] && [ "$readonly" = y ] || exit 0
# The state of an ext4 file system, at 0x3a of its super block (docs.kernel.org, filesystems/ext4): 1 is clean, 2 has
# errors. The kernel has played back the journal by now.
state=$(dd if="$ROOT" bs=1 skip=1082 count=1 2>/dev/null)
[ "$state" != "$(printf '\001')" ] || mount -o remount,rw "$ROOT" "$rootmnt"
