"""Docker's own packages (docker-ce and its family), repacked from Debian's engine in two versions.

Same names, paths, units, conflicts and version scheme as Docker's, so that installing, pinning and upgrading an
engine can be tried without Docker's servers. The newer version is the same program, but says so: the version
string inside is exchanged for one of the same length.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.debs import fetch
from lab.sh import LabError, run

RELEASES = {"trixie": "debian.13~trixie", "bookworm": "debian.12~bookworm"}
ENGINE = {"trixie": ("docker.io", "docker-cli"), "bookworm": ("docker.io",)}
PLUGINS = ("docker-buildx", "docker-compose")

CONTAINERD_UNIT = """\
[Unit]
Description=containerd container runtime
Documentation=https://containerd.io
After=network.target local-fs.target dbus.service

[Service]
ExecStartPre=-/sbin/modprobe overlay
ExecStart=/usr/bin/containerd
Type=notify
Delegate=yes
KillMode=process
Restart=always
RestartSec=5
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity
OOMScoreAdjust=-999

[Install]
WantedBy=multi-user.target
"""

DOCKER_UNIT = """\
[Unit]
Description=Docker Application Container Engine
Documentation=https://docs.docker.com
After=network-online.target docker.socket firewalld.service containerd.service time-set.target
Wants=network-online.target containerd.service
Requires=docker.socket

[Service]
Type=notify
# the default is not to use systemd for cgroups because the delegate issues still
# exists and systemd currently does not support the cgroup feature set required
# for containers run by docker
ExecStart=/usr/bin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock
ExecReload=/bin/kill -s HUP $MAINPID
TimeoutStartSec=0
RestartSec=2
Restart=always
StartLimitBurst=3
StartLimitInterval=60s
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity
Delegate=yes
KillMode=process
OOMScoreAdjust=-500

[Install]
WantedBy=multi-user.target
"""

DOCKER_SOCKET = """\
[Unit]
Description=Docker Socket for the API

[Socket]
ListenStream=/run/docker.sock
SocketMode=0660
SocketUser=root
SocketGroup=docker

[Install]
WantedBy=sockets.target
"""

CONTAINERD_CONFIG = """\
disabled_plugins = ["cri"]
"""

POSTINST = """\
#!/bin/sh
set -e
[ "$1" = configure ] || exit 0
{group}
for unit in {units}; do
    deb-systemd-helper unmask $unit >/dev/null || true
    if deb-systemd-helper --quiet was-enabled $unit; then deb-systemd-helper enable $unit >/dev/null || true; fi
done
if [ -d /run/systemd/system ]; then
    systemctl --system daemon-reload >/dev/null || true
    if [ -n "$2" ]; then action=restart; else action=start; fi
    deb-systemd-invoke $action {units} >/dev/null || true
fi
"""
GROUP = "getent group docker >/dev/null || groupadd --system docker"

PRERM = """\
#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then deb-systemd-invoke stop {units} >/dev/null || true; fi
"""

POSTRM = """\
#!/bin/sh
set -e
[ ! -d /run/systemd/system ] || systemctl --system daemon-reload >/dev/null || true
[ "$1" != purge ] || deb-systemd-helper purge {units} >/dev/null || true
"""


@dataclass(frozen=True)
class Package:
    """One package to make: what it is called, what is in it, what it fights with."""

    name: str
    version: str
    depends: str
    fields: Mapping[str, str]
    programs: Mapping[str, Path]
    texts: Mapping[str, str]
    units: Sequence[str] = ()


class Repacker:
    """Debian's engine of a suite, unpacked, and what Docker would have made of it."""

    def __init__(self, suite: str, scratch: Path) -> None:
        self.suite = suite
        self.scratch = scratch
        self.tree = scratch / "debian"
        self.archives = fetch(suite, ENGINE[suite], needed=True)
        for archive in [*self.archives, *fetch("trixie", PLUGINS)]:
            run(["dpkg-deb", "-x", archive, self.tree])

    def upstream(self, package: str) -> str:
        """A Debian package's version without epoch and Debian's own part: 26.1.5."""
        places = [*self.archives, *fetch("trixie", PLUGINS)]
        archive = next(path for path in places if path.name.startswith(f"{package}_"))
        version = run(["dpkg-deb", "-f", archive, "Version"]).stdout.strip()
        found = re.match(r"(?:\d+:)?(\d+\.\d+\.\d+)", version)
        if not found:
            raise LabError(f"no upstream version in {package} {version}")
        return found[1]

    def program(self, name: str) -> Path:
        """A program of Debian's engine, wherever Debian puts it."""
        for folder in ("usr/bin", "usr/sbin", "usr/libexec/docker/cli-plugins"):
            path = self.tree / folder / name
            if path.is_file():
                return path.resolve() if path.is_symlink() else path
        raise LabError(f"Debian's {self.suite} packages have no program {name}")

    def engine_versions(self) -> tuple[str, str]:
        """Upstream version and the one after it."""
        older = self.upstream("docker.io")
        major, minor, patch = older.split(".")
        newer = f"{major}.{minor}.{int(patch) + 1}"
        if len(newer) != len(older):
            raise LabError(f"cannot patch {older} to {newer}: the length differs")
        return older, newer

    def packages(self) -> list[Package]:
        """The whole family: engine and client in two versions, the rest in one."""
        older, newer = self.engine_versions()
        return [*self._engine(older, older), *self._engine(older, newer), self._containerd(), *self._plugins()]

    def release(self, upstream: str, epoch: str = "") -> str:
        """A version as Docker writes it."""
        return f"{epoch}{upstream}-1~{RELEASES[self.suite]}"

    def _patched(self, name: str, older: str, newer: str) -> Path:
        source = self.program(name)
        if older == newer:
            return source
        copy = self.scratch / f"{name}-{newer}"
        data = source.read_bytes()
        if older.encode() not in data:
            raise LabError(f"{name} does not name its version {older}")
        copy.write_bytes(data.replace(older.encode(), newer.encode()))
        return copy

    def _engine(self, older: str, version: str) -> list[Package]:
        full = self.release(version, "5:")
        foes = {"Conflicts": "docker (<< 1.5~), docker-engine, docker.io", "Replaces": "docker-engine"}
        programs = {
            "usr/bin/dockerd": self._patched("dockerd", older, version),
            "usr/bin/docker-proxy": self.program("docker-proxy"),
            "usr/bin/docker-init": self.program("tini-static"),
        }
        texts = {
            "usr/lib/systemd/system/docker.service": DOCKER_UNIT,
            "usr/lib/systemd/system/docker.socket": DOCKER_SOCKET,
        }
        needs = "containerd.io (>= 1.6.4), docker-ce-cli, iptables, libc6, libsystemd0, libseccomp2"
        engine = Package("docker-ce", full, needs, foes, programs, texts, ("docker.service", "docker.socket"))
        cli_foes = {"Conflicts": "docker (<< 1.5~), docker-engine, docker-cli, docker.io"}
        cli_foes["Recommends"] = "docker-buildx-plugin, docker-compose-plugin"
        client = {"usr/bin/docker": self._patched("docker", older, version)}
        return [engine, Package("docker-ce-cli", full, "libc6", cli_foes, client, {})]

    def _containerd(self) -> Package:
        foes = dict.fromkeys(("Conflicts", "Replaces", "Provides"), "containerd, runc")
        names = ("containerd", "containerd-shim-runc-v2", "ctr", "runc")
        programs = {f"usr/bin/{name}": self.program(name) for name in names}
        texts = {
            "usr/lib/systemd/system/containerd.service": CONTAINERD_UNIT,
            "etc/containerd/config.toml": CONTAINERD_CONFIG,
        }
        version = self.release(self.upstream("containerd"))
        needs = "libc6, libseccomp2"
        return Package("containerd.io", version, needs, foes, programs, texts, ("containerd.service",))

    def _plugins(self) -> list[Package]:
        made = []
        for name in PLUGINS:
            place = f"usr/libexec/docker/cli-plugins/{name}"
            version = self.release(self.upstream(name))
            foes = {"Conflicts": name}
            made.append(Package(f"{name}-plugin", version, "libc6", foes, {place: self.program(name)}, {}))
        return made


def build(package: Package, scratch: Path, into: Path, architecture: str) -> Path:
    """Make the .deb file and return it."""
    tree = scratch / f"build-{package.name}"
    shutil.rmtree(tree, ignore_errors=True)
    for name, source in package.programs.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, tree / name)
        (tree / name).chmod(0o755)
    for name, text in package.texts.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    _control(package, tree / "DEBIAN", architecture)
    version = package.version.partition(":")[2] or package.version
    target = into / f"{package.name}_{version}_{architecture}.deb"
    run(["dpkg-deb", "--build", "--root-owner-group", "-Zzstd", "-z1", tree, target], timeout=180)
    shutil.rmtree(tree)
    return target


def _control(package: Package, folder: Path, architecture: str) -> None:
    folder.mkdir()
    fields = {
        "Package": package.name,
        "Version": package.version,
        "Architecture": architecture,
        "Maintainer": "Test Lab <lab@example.invalid>",
        "Section": "admin",
        "Priority": "optional",
        "Depends": package.depends,
        **package.fields,
        "Description": f"{package.name} as the test lab serves it",
    }
    (folder / "control").write_text("".join(f"{key}: {value}\n" for key, value in fields.items()))
    if settings := [f"/{name}" for name in package.texts if name.startswith("etc/")]:
        (folder / "conffiles").write_text("".join(f"{name}\n" for name in settings))
    if package.units:
        group = GROUP if "docker.socket" in package.units else ":"
        for name, text in (("postinst", POSTINST), ("prerm", PRERM), ("postrm", POSTRM)):
            (folder / name).write_text(text.replace("{units}", " ".join(package.units)).replace("{group}", group))
            (folder / name).chmod(0o755)
