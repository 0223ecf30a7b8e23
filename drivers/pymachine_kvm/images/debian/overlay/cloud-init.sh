#!/bin/sh
# Starts cloud-init where it finds something to do, as its own generator would: that is masked, since it looks before
# anybody could know whether it is needed at all, and takes seconds of a slow processor.
set -u
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
mkdir -p /run/cloud-init
udevadm settle --timeout=60
if /usr/lib/cloud-init/ds-identify; then
    : >/run/cloud-init/enabled
    # Before this unit ends, so that what has to wait for cloud-init does.
    # shellcheck disable=SC2046 # names of units
    systemctl start --no-block cloud-init.target $(systemctl show -p Wants --value cloud-init.target)
else
    : >/run/cloud-init/disabled
fi
