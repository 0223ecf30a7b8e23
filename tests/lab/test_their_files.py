"""Files, packages and accounts of others on real hosts: kept as they are, or refused before anything is touched."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab import Host
from lab.options import User
from lab.sh import run
from lab.workstation import Workstation

pytestmark = pytest.mark.lab

FreshHost = Callable[..., Host]

DAEMON_JSON = '{"labels": null, "log-opts": {"max-size": "1m"},\n "hosts": null}\n'
ATTRIBUTES = "; ".join(
    [
        "cd /etc && stat -c '%n %F %U:%G %a' docker/daemon.json systemd/system/docker.service.d hosts hostname",
        "stat -L -c '%U:%G %a %h' /etc/docker/daemon.json /etc/hosts /etc/hostname",
        "readlink /etc/docker/daemon.json /etc/systemd/system/docker.service.d /etc/hosts",
        'python3 -c \'import os; print(os.getxattr("/srv/ops/daemon.json", "system.posix_acl_access"))\'',
    ]
)
CONTENTS = "cat /etc/docker/daemon.json /etc/hosts /etc/hostname; hostname; find /srv/ops | sort"


@pytest.fixture
def managed(engine_host: FreshHost) -> Host:
    """A host whose files are links into the folder of a configuration management, with groups, an ACL and a flag."""
    host = engine_host()
    host.exec("systemctl stop docker docker.socket; groupadd ops; mkdir -p /srv/ops/dropins /etc/docker")
    host.exec("cat > /srv/ops/daemon.json", input=DAEMON_JSON)
    # dockerd takes null for not set, but not beside a flag.
    host.exec("sed -i 's/ -H fd:\\/\\/// ' /usr/lib/systemd/system/docker.service")
    host.exec(
        "cp /etc/hosts /srv/ops/hosts; chgrp ops /srv/ops/*; chmod 640 /srv/ops/daemon.json; chmod 664 /srv/ops/hosts"
    )
    host.exec("chmod 646 /etc/hostname")
    host.exec(
        "python3 -", input="import os, struct\nno = 0xFFFFFFFF\n"
        "parts = ((1, 6, no), (2, 4, 5), (4, 4, no), (16, 4, no), (32, 0, no))\n"
        "acl = struct.pack('<I', 2) + b''.join(struct.pack('<HHI', *part) for part in parts)\n"
        "os.setxattr('/srv/ops/daemon.json', 'system.posix_acl_access', acl)\n",
    )  # fmt: skip
    host.exec("ln -sf ../../srv/ops/daemon.json /etc/docker/daemon.json; ln -sf /srv/ops/hosts /etc/hosts")
    host.exec("ln -s /srv/ops/dropins /etc/systemd/system/docker.service.d; systemctl daemon-reload")
    host.exec("systemctl start docker")
    return host


def _looks(host: Host) -> tuple[str, str]:
    return host.exec(ATTRIBUTES).stdout, host.exec(CONTENTS).stdout


@pytest.mark.soak(60)
def test_files_keep_their_links_owners_modes_and_acl(managed: Host, workstation: Workstation) -> None:
    host = managed
    attributes, contents = _looks(host)

    workstation.create("theirs", host.address, "--set-hostname", "--engine-label", "rack=7")
    assert host.exec(ATTRIBUTES).stdout == attributes
    assert json.loads(host.exec("cat /srv/ops/daemon.json").stdout)["labels"] == ["rack=7", "provider=ssh"]
    assert host.exec("hostname").stdout == "theirs\n"

    workstation.pymachine("provision", "--engine-opt", "no-such-option=1", "theirs", check=1)
    assert host.exec(ATTRIBUTES).stdout == attributes

    host.exec("sed -i --follow-symlinks 's/rack=7/rack=8/' /etc/docker/daemon.json")
    attributes_by_sed = host.exec(ATTRIBUTES).stdout
    workstation.pymachine("provision", "theirs")
    assert "rack=7" in host.exec("cat /srv/ops/daemon.json").stdout
    assert host.exec(ATTRIBUTES).stdout == attributes_by_sed

    workstation.pymachine("rm", "-y", "theirs")
    assert host.exec(CONTENTS).stdout == contents
    assert host.exec(ATTRIBUTES).stdout == attributes_by_sed


@contextmanager
def immutable(host: Host, path: str) -> Iterator[None]:
    """From outside: the host itself has no chattr, as a minimal Debian."""
    run(["chattr", "+i", f"{host.root}{path}"])
    try:
        yield
    finally:
        run(["chattr", "-i", f"{host.root}{path}"])


def _refused(host: Host, workstation: Workstation, why: str) -> None:
    host.exec("sleep 1.1; touch /srv/stamp")
    look = "find /etc /var/lib/pymachine /run/pymachine -newer /srv/stamp 2>/dev/null; pidof dockerd"
    before = host.exec(look, check=False).stdout
    for options in (["--dry-run"], []):
        refused = workstation.create("theirs", host.address, *options, check=3)
        assert "/etc/" in refused.stderr.split("error: ")[1], why
    assert host.exec(look, check=False).stdout == before, why


@pytest.mark.soak(40)
def test_what_cannot_be_kept_is_refused_before_anything_is_touched(
    engine_host: FreshHost, workstation: Workstation
) -> None:
    host = engine_host()
    host.exec(
        "mkdir -p /etc/docker /srv/ro && echo '{}' > /etc/docker/daemon.json && cp /etc/docker/daemon.json /srv/d"
    )
    blocks = {
        "mounted": ("mount --bind /srv/d /etc/docker/daemon.json", "umount /etc/docker/daemon.json"),
        "dangling": ("mv /etc/docker/daemon.json /srv/j; ln -s nowhere /etc/docker/daemon.json",
                     "rm /etc/docker/daemon.json; mv /srv/j /etc/docker/daemon.json"),
        "read-only": ("mount --bind /srv/ro /srv/ro; mount -o remount,bind,ro /srv/ro;"
                      "ln -s /srv/ro /etc/systemd/system/docker.service.d",
                      "umount /srv/ro; rm /etc/systemd/system/docker.service.d"),
    }  # fmt: skip
    for name, (block, undo) in blocks.items():
        host.exec(block)
        _refused(host, workstation, name)
        host.exec(undo)
    for path in ("/etc/docker/daemon.json", "/etc/docker", "/etc/systemd/system"):
        with immutable(host, path):
            _refused(host, workstation, path)
    assert workstation.pymachine("ls", "-q").stdout == ""
    workstation.create("theirs", host.address)
    # A machine whose file was locked since is refused too, and its engine goes on.
    with immutable(host, "/etc/docker/daemon.json"):
        workstation.pymachine("provision", "--engine-label", "a=b", "theirs", check=3)
        workstation.pymachine("rm", "-y", "theirs", check=3)
        workstation.docker("theirs", "version")
    workstation.pymachine("rm", "-y", "theirs")


# As people install Docker's static binaries: no package, no group.
STATIC = """set -e
mv /opt/static/* /usr/local/bin/
cat >/etc/systemd/system/docker.service <<END
[Service]
Type=notify
ExecStart=/usr/local/bin/dockerd
[Install]
WantedBy=multi-user.target
END
systemctl daemon-reload
"""


@pytest.mark.soak(60)
def test_an_engine_without_a_group_docker_is_kept(
    engine_host: FreshHost, workstation: Workstation, tmp_path: Path
) -> None:
    host = engine_host(users=[User("op", sudo="nopasswd")])
    host.exec("systemctl stop docker docker.socket containerd; mkdir /opt/static; rm -rf /etc/docker")
    host.exec(
        "for part in dockerd containerd containerd-shim-runc-v2 runc docker-proxy docker-init; do"
        " cp $(PATH=$PATH:/usr/sbin:/usr/libexec/docker command -v $part) /opt/static/; done"
    )
    host.exec("dpkg --purge --force-depends docker.io containerd runc docker-cli 2>&1; groupdel docker; true")
    script = tmp_path / "static.sh"
    script.write_text(STATIC)

    made = workstation.create("static", host.address, "--ssh-user", "op", "--engine-install", str(script))
    assert "group" in made.stderr
    assert "does not exist" in made.stderr, "with the words of usermod"
    workstation.docker("static", "version")
    planned = workstation.pymachine("provision", "--dry-run", "static").stdout
    assert "group docker" not in planned


@pytest.mark.soak(60)
def test_packages_ask_nothing_and_only_sources_in_use_count(fresh_host: FreshHost, workstation: Workstation) -> None:
    host = fresh_host()
    source = "deb https://download.docker.com/linux/debian trixie stable"
    host.exec(f"cd /etc/apt/sources.list.d; echo '# {source}' >docker.list; echo '{source}' >docker.list.save")
    # Files of a package that were there before it, and an installation that was cut off.
    host.exec(
        "echo 'DOCKER_OPTS=\"--debug\"' >/etc/default/docker;"
        "mkdir -p /etc/containerd; echo '# ours' >/etc/containerd/config.toml"
    )
    host.exec(
        "apt-get update -q; cd /tmp && apt-get download -q xz-utils && dpkg --unpack xz-utils*.deb", timeout=120
    )

    planned = workstation.create("node1", host.address, "--engine-install", "distro", "--dry-run")
    assert "xz-utils" in planned.stdout
    workstation.create("node1", host.address, "--engine-install", "distro")
    assert host.exec("cat /etc/default/docker").stdout == 'DOCKER_OPTS="--debug"\n'
    assert host.exec("dpkg --audit; cat /etc/containerd/config.toml").stdout == "# ours\n"
