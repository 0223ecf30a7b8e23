"""Unpacked Debian trees that hosts are made from: built once per recipe, then only read.

A template is named after a hash of all that goes into it, so a changed recipe builds a new one. It is built beside
its place and renamed into it, so a build that was cut off never counts.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

from lab.ident import cache_dir, locked
from lab.prepare import ensure_packages
from lab.sh import LabError, run
from lab.sources import apt_settings, apt_sources, host_sources
from lab.tree import unmount_below

SUITES = ("trixie", "bookworm")

PACKAGES = (
    "ca-certificates",
    "cloud-init",
    "curl",
    "dbus",
    "gpg",
    "iproute2",
    "iptables",
    "iputils-ping",
    "kmod",
    "netplan.io",
    "openssh-server",
    "procps",
    "python3-minimal",
    "sudo",
    "systemd-sysv",
)

# The outer machine mounts cgroups read-only into the host; containers need them writable. nspawn keeps plain
# `remount,rw` busy, a bind remount works. Harmless where everything is writable already.
CGROUPS_UNIT = """\
[Unit]
Description=Make control groups writable for containers
DefaultDependencies=no
Before=basic.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'awk "\\$3 ~ /^cgroup/ || \\$2 == \\"/sys/fs/cgroup\\" {print \\$2}" /proc/mounts | \
while read -r m; do mount -o remount,bind,rw "$m" || true; done'

[Install]
WantedBy=basic.target
"""

MERGED_USR = Path("/usr/share/mmdebstrap/hooks/merged-usr")

APT_CONF = """\
// a host is thrown away: no translations, no package diffs, no waiting for the disk
Acquire::Languages "none";
Acquire::PDiffs "false";
"""

# Runs inside the new tree, once. What makes a host that host (keys, machine id, name) is taken out.
SEAL = """\
set -e
rm -f /etc/ssh/ssh_host_* /var/lib/dbus/machine-id
: > /etc/machine-id
touch /etc/cloud/cloud-init.disabled
systemctl enable systemd-networkd ssh lab-cgroups
systemctl disable apt-daily.timer apt-daily-upgrade.timer fstrim.timer
rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/log/*.log /var/log/apt /etc/resolv.conf
mkdir -p /var/lib/docker /var/lib/containerd && rmdir /var/lib/docker /var/lib/containerd
touch /etc/.updated /var/.updated
"""


def _recipe(suite: str) -> dict[str, object]:
    return {
        "suite": suite,
        "packages": PACKAGES,
        "seal": SEAL,
        "files": _files(),
        "merged": MERGED_USR.is_dir(),
        "sources": host_sources(suite, apt_sources()),
    }


def _files() -> dict[str, str]:
    return {
        "etc/systemd/system/lab-cgroups.service": CGROUPS_UNIT,
        "etc/apt/apt.conf.d/90lab": APT_CONF + apt_settings(),
        "etc/dpkg/dpkg.cfg.d/90lab": "force-unsafe-io\n",
        "etc/hostname": "template\n",
        "etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
    }


def template(suite: str) -> Path:
    """The tree of a suite, built now if this recipe never was."""
    if suite not in SUITES:
        raise LabError(f"no template for {suite!r}: there are {', '.join(SUITES)}")
    digest = hashlib.sha256(json.dumps(_recipe(suite), sort_keys=True).encode()).hexdigest()[:12]
    place = cache_dir() / "templates" / f"{suite}-{digest}"
    if place.is_dir():
        return place
    ensure_packages()
    with locked(place.with_name(f".{suite}.lock"), seconds=900):
        if not place.is_dir():
            _build(suite, place)
    return place


def _build(suite: str, place: Path) -> None:
    began = time.monotonic()
    print(f"lab: building the {suite} template", file=sys.stderr, flush=True)
    for leftover in place.parent.glob(f".{suite}-*.building"):
        unmount_below(leftover)
        shutil.rmtree(leftover)
    drop_old(suite, place.parent)
    draft = Path(tempfile.mkdtemp(prefix=f".{suite}-", suffix=".building", dir=place.parent))
    draft.chmod(0o755)
    _bootstrap(suite, draft)
    for name, text in _files().items():
        (draft / name).write_text(text)
    run(["chroot", draft, "/bin/sh", "-c", SEAL], timeout=60)
    draft.rename(place)
    print(f"lab: {place} took {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)


def _bootstrap(suite: str, tree: Path) -> None:
    lines = host_sources(suite, apt_sources())
    options = [f"--aptopt={line}" for line in apt_settings().splitlines()]
    command = ["mmdebstrap", "--variant=apt", f"--include={','.join(PACKAGES)}"]
    if suite == "bookworm" and MERGED_USR.is_dir():
        # Born with a merged /usr, instead of brought there by a package that needs all of Perl.
        command.append(f"--hook-dir={MERGED_USR}")
    # Without a mirror argument mmdebstrap takes Debian's own default for the suite.
    mirror = ["-"] if lines else []
    run([*command, *options, suite, tree, *mirror], timeout=900, input="\n".join(lines) if lines else None)


def drop_old(suite: str, folder: Path) -> None:
    """Remove earlier recipes' trees, except those under a host that still has them mounted."""
    mounted = Path("/proc/self/mountinfo").read_text()
    for old in folder.glob(f"{suite}-{12 * '?'}"):
        if str(old) not in mounted:
            shutil.rmtree(old)
