"""Starter inventories: a commented one, and ones made from hosts or a docker-machine store. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from pymachine.addresses import check_host, check_port, check_user, parse_jump
from pymachine.errors import UsageFault
from pymachine.fleet.inventory.ranges import has_braces
from pymachine.model import NAME_LIMIT, check_name

SCHEMA_FILE = "pymachine.schema.json"

HEAD = f"""\
# A fleet: its machines, the Swarm they form and the stacks on it. `pymachine inventory check` reads it,
# `pymachine plan` says what would be done, `pymachine apply` does it.
# `pymachine inventory schema > {SCHEMA_FILE}` lets editors complete and check this file:
# yaml-language-server: $schema={SCHEMA_FILE}
"""

STARTER = (
    HEAD
    + """
fleet: {fleet}

# Defaults for all machines.
defaults:
  driver: ssh
  engine:
    install: auto             # auto, docker, distro, none, a URL or a script's file
    # version: "28.0"
    # labels: {{env: prod}}
    # daemon: {{log-driver: local}}   # merged into the host's daemon.json
    # registry_mirrors: [https://mirror.example.org]

machines:
  # A name with braces is several machines, and so are the values beside it, in step.
  - name: mgr-{{1..3}}
    swarm: manager            # an odd number of managers
    ssh:
      host: 192.0.2.1{{1..3}}   # write your own; these are addresses of documentation
      user: root
  - name: web-{{01..02}}
    swarm: {{role: worker, labels: {{tier: web}}}}
    groups: [front]           # another name for --limit
    ssh: {{host: "192.0.2.2{{1..2}}", user: root}}
    # overrides:
    #   web-02: {{ssh: {{port: 2222}}}}

  # Virtual machines on this computer, and instances in a cloud:
  # - name: lab-{{1..2}}
  #   driver: kvm
  #   kvm: {{memory: 2G, cpus: 2}}
  # - name: burst-{{1..4}}
  #   driver: aws
  #   aws: {{region: eu-central-1, instance_type: [t3.small, t3a.small]}}
  #   swarm: worker

# The Swarm. address_pool, subnet_size and data_path_port cannot be changed later.
swarm:
  autolock: false
  # address_pool: 10.80.0.0/16

# stacks:
#   - name: shop
#     file: shop/compose.yaml           # deployed to the Swarm
#     environment:
#       TAG: ${{TAG:-latest}}
#       DB_PASSWORD: {{from_file: secrets/db}}
#   - {{name: metrics, file: metrics/compose.yaml, on: web-01}}

# hooks:
#   after_create: ./notify.sh
"""
)


@dataclass(frozen=True, slots=True)
class StarterMachine:
    """A machine of a starter. ``notes`` become comments before it."""

    name: str
    driver: str
    options: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    engine: Mapping[str, Any] = field(default_factory=dict)


def starter(fleet: str) -> str:
    """Return the commented starter."""
    return STARTER.format(fleet=_scalar(fleet))


def from_hosts(fleet: str, texts: Sequence[str]) -> str:
    """Return an inventory of hosts ``[user@]host[:port]``; the first becomes the manager.

    Raises ``UsageFault`` for an invalid host, or one given twice.
    """
    entries: list[StarterMachine] = []
    for text in texts:
        entry = _host_entry(text, [other.name for other in entries])
        if any(entry.options == other.options for other in entries):
            raise UsageFault(f"host {text!r} is given twice", hint="give each host once")
        entries.append(entry)
    if not entries:
        raise UsageFault("no host given", hint="give user@host[:port], one or more")
    return _written(fleet, entries, swarm=True)


def hosts_of(text: str) -> list[str]:
    """Return the hosts of a list, one per line; empty lines and comments are skipped."""
    lines = (line.partition("#")[0].split() for line in text.splitlines())
    return [words[0] for words in lines if words]


def from_docker_machine(fleet: str, configs: Mapping[str, Mapping[str, Any]]) -> str:
    """Return an inventory of a docker-machine store: ``configs`` are the contents of config.json by machine.

    Raises ``UsageFault`` if none can be imported; those that cannot are listed in comments.
    """
    entries: list[StarterMachine] = []
    left_out: list[str] = []
    for name, config in configs.items():
        entry = _machine_entry(name, config)
        if isinstance(entry, StarterMachine):
            entries.append(entry)
        else:
            left_out.append(f"{name}: {entry}")
    if not entries:
        raise UsageFault(
            "the docker-machine store has no machine that can be imported",
            hint="; ".join(left_out) or "its folder `machines` is empty",
        )
    return _written(fleet, entries, swarm=False, notes=left_out)


def _host_entry(text: str, taken: Sequence[str]) -> StarterMachine:
    hops = parse_jump(text)
    if len(hops) != 1:
        raise UsageFault(f"{text!r} is not a valid host", hint="give user@host[:port]")
    given = {"host": hops[0].host, "user": hops[0].user, "port": hops[0].port}
    options = {key: value for key, value in given.items() if value is not None}
    return StarterMachine(_name_for(hops[0].host, taken), "ssh", options)


def _name_for(host: str, taken: Sequence[str]) -> str:
    """Return a machine name for a host: its first label, or one made of its address."""
    numeric = re.fullmatch(r"[0-9.]+|.*:.*", host) is not None
    base = re.sub(r"[^A-Za-z0-9-]+", "-", f"host-{host}" if numeric else host.partition(".")[0]).strip("-").lower()
    base = base[: NAME_LIMIT - 4].strip("-") or "host"
    number = 2
    name = base
    while name in taken:
        name, number = f"{base}-{number}", number + 1
    return check_name(name)


def _machine_entry(name: str, config: Mapping[str, Any]) -> StarterMachine | str:
    """Return a docker-machine machine as an entry, or the reason why it cannot be imported."""
    driver, raw = config.get("DriverName"), config.get("Driver")
    if not isinstance(driver, str) or not isinstance(raw, Mapping):
        return "its config.json has no Driver"
    try:
        ours = check_name(name.replace("_", "-"))
        options, notes = _TAKEN_OVER.get(driver, _by_address)(raw)
    except UsageFault as fault:
        return f"driver {driver}: {fault.message}"
    if driver not in _TAKEN_OVER:
        notes = (f"made by driver {driver}, which pymachine does not have: imported as a host with SSH", *notes)
    if ours != name:
        notes = (f"its name in docker-machine is {name}; a host name cannot contain an underscore", *notes)
    return StarterMachine(ours, _DRIVERS.get(driver, "ssh"), options, notes, _engine_of(config))


def _by_address(raw: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    host = raw.get("IPAddress")
    if not isinstance(host, str) or not host:
        raise UsageFault("its address is not on record")
    options: dict[str, Any] = {"host": check_host(host)}
    if isinstance(user := raw.get("SSHUser"), str) and user:
        options["user"] = check_user(user)
    if isinstance(port := raw.get("SSHPort"), int) and port not in (0, 22):
        options["port"] = check_port(port)
    key = raw.get("SSHKey") or raw.get("SSHKeyPath")
    if isinstance(key, str) and key:
        options["key"] = key
    return options, ()


def _amazon(raw: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    notes = (
        [f"instance {raw['InstanceId']}: `pymachine adopt` takes it over as it is"] if raw.get("InstanceId") else []
    )
    return _picked(raw, _AMAZON), tuple(notes)


def _kvm(raw: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    options = _picked(raw, _KVM)
    for key in ("memory", "disk"):
        if isinstance(size := options.get(key), int):
            options[key] = f"{size}M"
    return options, ("a new machine: docker-machine's own boots an image that gets no updates",)


def _picked(raw: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    found = {key: raw.get(theirs) for theirs, key in names.items()}
    return {key: value for key, value in found.items() if value not in (None, "", 0, [], False)}


_AMAZON = {
    "Region": "region", "Zone": "zone", "VpcId": "vpc", "SubnetId": "subnet", "SecurityGroupNames": "security_group",
    "AMI": "image", "InstanceType": "instance_type", "VolumeType": "volume_type",
    "IamInstanceProfile": "instance_profile", "RequestSpotInstance": "spot", "SSHUser": "ssh_user",
    "UsePrivateIP": "use_private_address", "PrivateIPOnly": "private_address_only", "Monitoring": "monitoring",
}  # fmt: skip
_KVM = {"Memory": "memory", "DiskSize": "disk", "CPU": "cpus", "Network": "network", "ConnectionURI": "uri"}
_TAKEN_OVER = {"generic": _by_address, "amazonec2": _amazon, "kvm": _kvm, "kvm2": _kvm}
_DRIVERS = {"amazonec2": "aws", "kvm": "kvm", "kvm2": "kvm"}
_ENGINE = {
    "Labels": "labels", "RegistryMirror": "registry_mirrors", "InsecureRegistry": "insecure_registries",
    "ArbitraryFlags": "opts", "StorageDriver": "storage_driver",
}  # fmt: skip


def _engine_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the engine's options without variables, which may be passwords."""
    options = config.get("HostOptions")
    engine = options.get("EngineOptions") if isinstance(options, Mapping) else None
    found = _picked(engine, _ENGINE) if isinstance(engine, Mapping) else {}
    if "labels" in found:
        found["labels"] = [label for label in found["labels"] if not str(label).startswith("provider=")]
    return {key: value for key, value in found.items() if value}


def _written(fleet: str, entries: Sequence[StarterMachine], *, swarm: bool, notes: Sequence[str] = ()) -> str:
    lines = [HEAD, f"fleet: {_scalar(fleet)}\n", "machines:"]
    lines += [f"  # left out: {_one_line(note)}" for note in notes]
    for number, entry in enumerate(entries):
        lines += [f"  # {_one_line(note)}" for note in entry.notes]
        lines.append(f"  - name: {_scalar(entry.name)}")
        lines.append(f"    driver: {entry.driver}")
        lines += [f"    {entry.driver}: {_flow(entry.options)}"] if entry.options else []
        lines += [f"    engine: {_flow(entry.engine)}"] if entry.engine else []
        lines += [f"    swarm: {'worker' if number else 'manager'}"] if swarm else []
    if not swarm:
        lines += ["", "# One Swarm of them all: give one machine `swarm: manager`, the others `swarm: worker`."]
    return "\n".join(lines) + "\n"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _scalar(text: str) -> str:
    return str(yaml.safe_dump(text, width=1000)).partition("\n")[0]


def _flow(value: Any) -> str:
    """Return a value in YAML's flow style, which JSON is part of; ``$`` is doubled, as it begins a variable."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z][A-Za-z0-9_./@-]*", value) and not has_braces(value):
        return _scalar(value)
    return json.dumps(value, ensure_ascii=False).replace("$", "$$")
