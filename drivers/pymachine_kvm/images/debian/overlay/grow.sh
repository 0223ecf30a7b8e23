#!/bin/sh
# Grows the root file system to the size of its disk, where cloud-init does not run that would do it.
set -eu
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
device=$(findmnt -n -o SOURCE /)
part=/sys/class/block/${device##*/}
[ -e "$part/partition" ] || exit 0
disk=$(cd -P "$part/.." && pwd)
end=$(($(cat "$part/start") + $(cat "$part/size")))
# Less than a MiB is what partitioners leave.
[ "$(($(cat "$disk/size") - end))" -gt 2048 ] || exit 0
growpart "/dev/${disk##*/}" "$(cat "$part/partition")"
resize2fs "$device"
