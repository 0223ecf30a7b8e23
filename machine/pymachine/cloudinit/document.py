"""The documents of a seed: user-data, meta-data and network-config."""

from __future__ import annotations

from typing import Any

import yaml

from pymachine.cloudinit.config import UserData, cloud_config
from pymachine.cloudinit.merge import merged
from pymachine.cloudinit.parts import CLOUD_CONFIG, UserDataPart, multipart
from pymachine.cloudinit.user_data import NOTHING, Theirs

HEADER = "#cloud-config\n"


def user_data(data: UserData, theirs: Theirs = NOTHING) -> str:
    """Return the user-data: one cloud-config, or MIME if ``theirs`` has scripts. Secret.

    Raises ``UsageFault`` if the two cannot be merged.
    """
    config = HEADER + _dump(merged(cloud_config(data), theirs, data.user))
    if not theirs.parts:
        return config
    return multipart((UserDataPart(CLOUD_CONFIG, config, "pymachine.yaml"), *theirs.parts)).decode("ascii")


def meta_data(instance_id: str, hostname: str) -> str:
    """Return the meta-data. A new ``instance_id`` makes cloud-init treat the boot as a first one.

    A name with dots is left to user-data: cloud-init would set it from here, cut at the first dot, before it reads
    that it must not, and would then see nothing left to change.
    """
    name = {} if "." in hostname else {"local-hostname": hostname}
    return _dump({"instance-id": instance_id, **name})


def network_config(mac: str) -> str:
    """Return a network configuration (version 2) for the interface with this MAC address, using DHCP.

    The DHCP client identifies itself by ``mac``, because by the machine-id clones of an image would get one address.
    The interface is renamed, because some back ends of cloud-init do not match by MAC address alone (ifupdown,
    ifcfg).
    """
    name = "eth0"
    interface = {
        "match": {"macaddress": mac.lower()},
        "set-name": name,
        "dhcp4": True,
        "dhcp6": False,
        "dhcp-identifier": "mac",
    }
    return _dump({"version": 2, "ethernets": {name: interface}})


class _Dumper(yaml.SafeDumper):
    """Writes multi-line text as a block."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def _dump(value: Any) -> str:
    """Return YAML in ASCII."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=False, width=1 << 20)
