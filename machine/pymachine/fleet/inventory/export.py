"""A fleet in the formats of other programs: an Ansible inventory, an ssh_config. Pure: addresses are passed in."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pymachine.addresses import parse_jump
from pymachine.documents import to_document
from pymachine.fleet.inventory.model import Fleet, MachineSpec
from pymachine.model import SshAddress
from pymachine.options.values import HIDDEN
from pymachine.printable import printable_yaml
from pymachine.redaction import machine_document, redacted

ROLE_GROUPS = {"manager": "managers", "worker": "workers"}

Addresses = Mapping[str, SshAddress]


def declared(machine: MachineSpec) -> SshAddress | None:
    """Return the address in the inventory: the ssh driver's options."""
    options = machine.options
    if not options.get("ssh_host"):
        return None
    return SshAddress(
        options["ssh_host"], options.get("ssh_port"), options.get("ssh_user"), options.get("ssh_key"),
        options.get("ssh_jump"), options.get("ssh_host_key"),
    )  # fmt: skip


def ansible(fleet: Fleet, addresses: Addresses) -> str:
    """Return an Ansible inventory in YAML: groups ``managers``, ``workers`` and those of the entries.

    Machines without an address are named in a comment.
    """
    known = [machine for machine in fleet.machines if machine.name in addresses]
    hosts = {machine.name: _variables(machine, addresses[machine.name]) for machine in known}
    children: dict[str, Any] = {}
    for machine in known:
        for group in _groups(machine):
            children.setdefault(group, {"hosts": {}})["hosts"][machine.name] = {}
    document = {"all": {"hosts": hosts, **({"children": children} if children else {})}}
    return _head(fleet, addresses) + printable_yaml(document, width=1000)


def ssh_config(fleet: Fleet, addresses: Addresses) -> str:
    """Return a block for each machine for ``~/.ssh/config``; machines without an address are in a comment."""
    blocks = [
        _block(machine.name, addresses[machine.name]) for machine in fleet.machines if machine.name in addresses
    ]
    return "\n".join([_head(fleet, addresses), *blocks])


def document(fleet: Fleet) -> dict[str, Any]:
    """Return the fleet as JSON values with all ranges expanded.

    Values of variables, and users in URLs, are hidden.
    """
    stacks = [replace(stack, environment=dict.fromkeys(stack.environment, HIDDEN)) for stack in fleet.stacks]
    whole: dict[str, Any] = redacted(to_document(replace(fleet, stacks=tuple(stacks))))
    return {**whole, "machines": [machine_document(machine) for machine in fleet.machines]}


def _head(fleet: Fleet, addresses: Addresses) -> str:
    missing = [machine.name for machine in fleet.machines if machine.name not in addresses]
    lines = [f"# The machines of fleet {fleet.name}, as pymachine inventory export wrote them."]
    lines += [f"# Without an address to log in to, and left out: {', '.join(missing)}"] if missing else []
    return "".join(f"{line}\n" for line in lines)


def _variables(machine: MachineSpec, address: SshAddress) -> dict[str, Any]:
    found: dict[str, Any] = {
        "ansible_host": address.host,
        "ansible_port": address.port,
        "ansible_user": address.user,
        "ansible_ssh_private_key_file": address.key_path,
        "ansible_ssh_common_args": _way(address),
        "pymachine_driver": machine.driver,
        "pymachine_labels": dict(machine.labels) or None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _way(address: SshAddress) -> str | None:
    """Return the arguments of ssh for a host behind a jump host or a proxy command."""
    option = next((f"{name}={value}" for name, value in _through(address)), None)
    return None if option is None else f"-o {shlex.quote(option)}"


def _through(address: SshAddress) -> list[tuple[str, str]]:
    if address.proxy:
        return [("ProxyCommand", shlex.join(address.proxy))]
    hops = parse_jump(address.jump or "")
    return [("ProxyJump", ",".join(hop.text for hop in hops))] if hops else []


def _groups(machine: MachineSpec) -> list[str]:
    """Return the groups in Ansible's form: letters, digits and underscores. Patterns of ranges are left out."""
    names = [ROLE_GROUPS.get(group, group) for group in machine.groups if "{" not in group]
    return [re.sub(r"\W", "_", name, flags=re.ASCII) for name in names]


def _block(name: str, address: SshAddress) -> str:
    settings: list[tuple[str, object]] = [
        ("HostName", address.host.replace("%", "%%")),
        ("Port", address.port),
        ("User", address.user),
        ("IdentityFile", f'"{address.key_path.replace("%", "%%")}"' if address.key_path else None),
        ("IdentitiesOnly", "yes" if address.key_path else None),
        *_through(address),
    ]
    return f"Host {name}\n" + "".join(f"  {key} {value}\n" for key, value in settings if value is not None)
