#!/bin/sh
# Makes the initrd a small one: nothing but klibc, blkid and the drivers of disks, loaded in the order that modprobe
# gives. No udev, and no programs that need a big C library. Where another package has something of its own to do in
# the initrd (LVM, encryption), it stays the usual one.
[ "$1" != prereqs ] || exit 0
set -e
# shellcheck disable=SC1091
. /usr/share/initramfs-tools/hook-functions

for hook in /usr/share/initramfs-tools/hooks/* /etc/initramfs-tools/hooks/*; do
    case ${hook##*/} in
        dmsetup | fsck | keymap | klibc-utils | kmod | resume | thermal | udev | pymachine) ;;
        '*') ;;
        *)
            rm -f "$DESTDIR"/scripts/*/pymachine
            exit 0
            ;;
    esac
done

# shellcheck disable=SC2154 # of mkinitramfs
modules=$DESTDIR/usr/lib/modules/$version
drivers=$DESTDIR/usr/lib/pymachine
# Every module once, those that it needs before it: number and name; where to stop if there is a disk by then.
mkdir -p "$drivers"
number=100
list=$(sed 's/[[:space:]]*#.*//' /etc/initramfs-tools/modules)
for name in $list; do
    [ "$name" != virtio_scsi ] || : >"$drivers/$number-z-look"
    # shellcheck disable=SC2013 # paths without blanks
    for file in $(modprobe --set-version "$version" --ignore-install --quiet --show-depends "$name" |
        sed -n 's/^insmod \([^ ]*\).*/\1/p'); do
        plain=${file##*/}
        plain=${plain%.xz}
        plain=${plain%.zst}
        [ -z "$(find "$drivers" -name "*-$plain")" ] || continue
        number=$((number + 1))
        case $file in
            *.xz) xz -dc "$file" ;;
            *.zst) zstd -dc "$file" ;;
            *) cat "$file" ;;
        esac >"$drivers/$number-$plain"
    done
done

rm -rf "$DESTDIR"/usr/lib/*-linux-gnu "$DESTDIR"/usr/lib64/* "$DESTDIR/usr/lib/systemd" "$DESTDIR/usr/lib/udev" \
    "$modules/kernel" "$DESTDIR/usr/lib/modprobe.d" "$DESTDIR/usr/sbin/dmsetup"
for program in kmod udevadm; do
    rm -f "$DESTDIR/usr/bin/$program"
done
rm -f "$DESTDIR/usr/sbin/modprobe" "$DESTDIR/usr/sbin/rmmod" "$DESTDIR/usr/sbin/blkid"
for script in init-top/udev init-top/keymap init-top/all_generic_ide init-top/blacklist init-bottom/udev; do
    rm -f "$DESTDIR/scripts/$script"
done
# No program may stay whose C library is gone: one that cannot run (fsck, which is added wherever the root file system
# can be asked for its type, thus in each initrd that the machine itself makes) would keep it from booting.
find "$DESTDIR/usr/bin" "$DESTDIR/usr/sbin" -type f -exec grep -q -a -F /ld-linux {} \; -delete
find "$DESTDIR/usr/bin" "$DESTDIR/usr/sbin" -xtype l -delete
: >"$DESTDIR/conf/modules"
copy_exec /sbin/blkid /sbin
