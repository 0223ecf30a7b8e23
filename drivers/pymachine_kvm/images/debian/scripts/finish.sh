#!/bin/sh
# finish.sh UUID: runs inside the tree when all packages are there.
set -eu
uuid=$1
shift
export DEBIAN_FRONTEND=noninteractive

systemctl enable systemd-networkd.service systemd-resolved.service ssh.service \
    pymachine-seed.service pymachine-cloud-init.service pymachine-grow.service
# A new machine has better things to do in its first minutes; the timers of fleets belong to their administrators.
systemctl disable apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer \
    dpkg-db-backup.timer 2>/dev/null || true
# Host keys come with the seed or from cloud-init.
systemctl disable sshd-keygen.service 2>/dev/null || true

# Profiles that confine nothing, of a hundred programs that are not here: they lift a restriction on user namespaces
# that Debian's kernel does not have, or only log. Reading them takes seconds at every boot.
mkdir -p /etc/apparmor.d/disable
grep -l -E 'flags=\((unconfined|complain)' /etc/apparmor.d/* 2>/dev/null | while read -r profile; do
    ln -sf "$profile" /etc/apparmor.d/disable/
done
# For what is not on this system: foreign binaries, a boot menu's memory of failures.
systemctl mask systemd-binfmt.service grub-common.service
# For what a machine like this does not have, or what comes up by itself once it is used: firmware that keeps records
# of crashes, a TPM, passwords typed at boot, views of the kernel for those who debug it.
systemctl mask systemd-pstore.service dev-hugepages.mount sys-kernel-debug.mount sys-kernel-tracing.mount \
    sys-kernel-config.mount sys-fs-fuse-connections.mount modprobe@configfs.service modprobe@drm.service \
    modprobe@efi_pstore.service modprobe@fuse.service systemd-network-generator.service \
    systemd-networkd-persistent-storage.service systemd-pcrmachine.service systemd-pcrphase.service \
    systemd-pcrphase-sysinit.service systemd-tpm2-setup.service systemd-tpm2-setup-early.service \
    systemd-ask-password-console.path systemd-ask-password-wall.path
# cloud-init's generator looks for a seed before anything else is done; pymachine-cloud-init.service does that now.
mkdir -p /etc/systemd/system-generators
for name in cloud-init-generator systemd-gpt-auto-generator systemd-hibernate-resume-generator \
    systemd-ssh-generator systemd-tpm2-generator; do
    ln -sf /dev/null "/etc/systemd/system-generators/$name"
done

grub=/boot/grub
mkdir -p $grub/i386-pc
cp /usr/lib/grub/i386-pc/*.mod /usr/lib/grub/i386-pc/*.lst $grub/i386-pc/
cp /usr/lib/grub/i386-pc/boot.img $grub/i386-pc/
grub-mkimage -O i386-pc -o $grub/i386-pc/core.img -p '(,msdos1)/boot/grub' "$@"
# update-grub cannot tell the root file system here. In the running machine it can, and rewrites this file.
kernel=$(cd /boot && ls vmlinuz-* | sort -V | tail -n 1)
cat >$grub/grub.cfg <<END
set timeout=0
menuentry 'Debian' {
    linux /boot/$kernel root=UUID=$uuid ro net.ifnames=0 no_timer_check console=tty0 console=ttyS0,115200n8
    initrd /boot/initrd.img-${kernel#vmlinuz-}
}
END
# The boot sector was written from outside: upgrades leave it and the modules beside it alone.
echo 'grub-pc grub-pc/install_devices_empty boolean true' | debconf-set-selections
echo 'grub-pc grub-pc/install_devices multiselect' | debconf-set-selections
