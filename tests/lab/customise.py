"""Turn a copy of a template into one particular host: name, address, keys, users and whatever a test wants in it."""

from __future__ import annotations

import json
import shlex
import uuid
from dataclasses import dataclass
from pathlib import Path

from lab.inside import run_inside
from lab.options import HostSpec, Seed, User
from lab.sh import run
from lab.sources import nameservers

HOST_KEYS = ("ed25519", "ecdsa")

# Seeded hosts keep the lab's static network unless the seed brings its own.
# No locale: what sets one is not in the template.
CLOUD_CONFIG = "datasource_list: [NoCloud, None]\nlocale: false\n"
CLOUD_NO_NETWORK = "network: {config: disabled}\n"


@dataclass(frozen=True)
class Addresses:
    """A host's place on the bridge."""

    v4: str
    v6: str
    gateway: str


def network_unit(addresses: Addresses, *, route_out: bool) -> str:
    """The networkd file; its name sorts before systemd's own for host0."""
    lines = ["[Match]", "Name=host0", "", "[Network]", "IPv6AcceptRA=no", "DHCP=no"]
    lines += [f"Gateway={addresses.gateway}"] if route_out else []
    for address in (f"{addresses.v4}/24", f"{addresses.v6}/64"):
        # The lab hands each address out once; asking the neighbours first would cost a second or two.
        lines += ["", "[Address]", f"Address={address}", "DuplicateAddressDetection=none"]
    return "\n".join(lines) + "\n"


def put(root: Path, path: str, content: str | bytes, mode: int = 0o644) -> None:
    """Write a file of the host, with its folders."""
    target = root / path.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content.encode() if isinstance(content, str) else content)
    target.chmod(mode)


def customise(root: Path, spec: HostSpec, addresses: Addresses, lab_key: str) -> None:
    """Write everything that makes this host this host."""
    _identity(root, spec)
    _network(root, spec, addresses)
    _ssh(root, spec, lab_key)
    if spec.seed:
        _seed(root, spec.name, spec.seed)
    for path, (content, mode) in spec.files.items():
        put(root, path, content, mode)
    script = [line for user in spec.users for line in _user_script(user, lab_key)] + list(spec.commands)
    if script:
        run_inside(root, "\n".join(script))


def _identity(root: Path, spec: HostSpec) -> None:
    put(root, "etc/hostname", f"{spec.name}\n")
    put(root, "etc/hosts", f"127.0.0.1 localhost\n127.0.1.1 {spec.name}\n::1 localhost ip6-localhost\n")
    put(root, "etc/machine-id", f"{uuid.uuid4().hex}\n", 0o444)


def _network(root: Path, spec: HostSpec, addresses: Addresses) -> None:
    put(root, "etc/systemd/network/10-host0.network", network_unit(addresses, route_out=spec.route_out))
    servers = nameservers() if spec.route_out else []
    put(root, "etc/resolv.conf", "".join(f"nameserver {server}\n" for server in servers))


def _ssh(root: Path, spec: HostSpec, lab_key: str) -> None:
    for kind in HOST_KEYS:
        path = root / f"etc/ssh/ssh_host_{kind}_key"
        run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", f"root@{spec.name}", "-f", path])
    keys = ([lab_key] if spec.root_login else []) + list(spec.authorized_keys)
    (root / "root/.ssh").mkdir(mode=0o700, exist_ok=True)
    put(root, "root/.ssh/authorized_keys", "".join(f"{key.strip()}\n" for key in keys), 0o600)
    lines = ([f"Port {spec.ssh_port}"] if spec.ssh_port != 22 else []) + list(spec.sshd)
    if lines:
        put(root, "etc/ssh/sshd_config.d/10-lab.conf", "\n".join(lines) + "\n")


def _seed(root: Path, name: str, seed: Seed) -> None:
    # A JSON document is valid YAML, and quoting a name is JSON's job.
    meta = seed.meta_data or json.dumps({"instance-id": f"lab-{name}", "local-hostname": name}) + "\n"
    folder = "var/lib/cloud/seed/nocloud"
    parts: dict[str, str | bytes | None] = {"user-data": seed.user_data, "meta-data": meta}
    parts |= {"vendor-data": seed.vendor_data, "network-config": seed.network_config}
    for file, text in parts.items():
        if text is not None:
            put(root, f"{folder}/{file}", text, 0o600)
    network = "" if seed.network_config else CLOUD_NO_NETWORK
    put(root, "etc/cloud/cloud.cfg.d/95-lab.cfg", CLOUD_CONFIG + network)
    if seed.network_config:
        (root / "etc/systemd/network/10-host0.network").unlink()
    (root / "etc/cloud/cloud-init.disabled").unlink(missing_ok=True)


def _user_script(user: User, lab_key: str) -> list[str]:
    name, home = shlex.quote(user.name), shlex.quote(f"/home/{user.name}")
    lines = [f"useradd -m -s {shlex.quote(user.shell)} {name}"]
    if user.password is not None:
        lines.append(f"printf %s {shlex.quote(f'{user.name}:{user.password}')} | chpasswd")
    if user.authorized:
        lines.append(f"install -d -m 700 -o {name} -g {name} {home}/.ssh")
        lines.append(f"printf '%s\\n' {shlex.quote(lab_key.strip())} > {home}/.ssh/authorized_keys")
        lines.append(f"chown {name}: {home}/.ssh/authorized_keys && chmod 600 {home}/.ssh/authorized_keys")
    lines += [f"usermod -aG {shlex.quote(group)} {name}" for group in user.groups]
    if user.sudo != "none":
        tag = "NOPASSWD: " if user.sudo == "nopasswd" else ""
        lines.append(f"echo '{user.name} ALL=(ALL:ALL) {tag}ALL' > /etc/sudoers.d/lab-{user.name}")
        lines.append(f"chmod 440 /etc/sudoers.d/lab-{user.name}")
    return lines
