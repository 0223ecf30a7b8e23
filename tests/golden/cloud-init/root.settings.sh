#!/bin/sh
# Makes a system that boots machine node1, as cloud-init makes it of the user-data that lies beside this file.
# Run as root at every boot, early, by an image that can; $1 is the folder of the seed. Made by pymachine.
set -eu
id=0c58dbd2-0000-4000-8000-000000000000
user="root"
name=node1
short=node1
key='ssh-ed25519 AAAALOGIN'
state=/var/lib/pymachine
[ "$(cat "$state/instance-id" 2>/dev/null)" != "$id" ] || exit 0

rm -f /etc/ssh/ssh_host_*
tar -x -p --no-overwrite-dir -f "$1/pymachine.tar" -C /
hostname -F /etc/hostname

# Both names even where they are one, as cloud-init has it.
line=$(printf '127.0.1.1\t%s\t%s' "$name" "$short")
if ! grep -qxF "$line" /etc/hosts; then
    sed '/^127\.0\.1\.1[[:space:]]/d' /etc/hosts >/etc/hosts.pymachine-new
    printf '%s\n' "$line" >>/etc/hosts.pymachine-new
    mv /etc/hosts.pymachine-new /etc/hosts
fi

home=$(getent passwd "$user" | cut -d: -f6)
keys=$home/.ssh/authorized_keys
[ -d "$home/.ssh" ] || install -d -m 700 -o "$user" -g "$(id -g "$user")" "$home/.ssh"
if ! grep -sqxF "$key" "$keys"; then
    printf '%s\n' "$key" >>"$keys"
    chmod 600 "$keys"
    chown "$user:$(id -g "$user")" "$keys"
fi

[ -d "$state" ] || install -d -m 700 "$state"
printf '%s\n' "$id" >"$state/instance-id"
[ -d /run/systemd/system ] || exit 0
systemd-run --no-block --collect --quiet --unit=pymachine-first-boot --description='Set-up by pymachine' \
    -p DefaultDependencies=no -p Nice=-10 sh /run/pymachine-first-boot.run || :

