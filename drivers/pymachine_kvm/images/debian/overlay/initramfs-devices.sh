#!/bin/sh
# Hands the devices over to the system, as udev's script of the same place does.
[ "$1" != prereqs ] || exit 0

# shellcheck disable=SC2154 # of the initrd's init
mount -n -o move /dev "$rootmnt/dev"
nuke /dev
ln -s "$rootmnt/dev" /dev
