"""libvirt's test driver with a node of our own: state of one connection, nothing outside the process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pymachine_kvm.handle import Vm
from pymachine_kvm.libvirt_api import connect

NETWORK = """
<network><name>{name}</name>{forward}
  <ip address='{net}.1' netmask='255.255.255.0'><dhcp><range start='{net}.2' end='{net}.{last}'/>{hosts}</dhcp></ip>
</network>"""
BRIDGED = "<network><name>lan</name><forward mode='bridge'/><bridge name='br0'/></network>"
DOMAIN = """
<domain type='test'><name>{name}</name><uuid>{uuid}</uuid><memory>1024</memory><os><type>hvm</type></os>
  <devices>{devices}</devices></domain>"""
CARD = "<interface type='network'><mac address='{mac}'/><source network='{network}'/></interface>"

NODE1 = Vm(
    uri="test:///node", id="0f3c9a7e5b1d4c2e8a6f7b8c9d0e1f2a", name="node1", pool="default",
    disk="node1-0f3c9a7e.qcow2", seed="node1-0f3c9a7e-seed.iso", mac="52:54:00:ab:cd:ef", network="default",
)  # fmt: skip
NODE2 = NODE1.with_(id="1f3c9a7e5b1d4c2e8a6f7b8c9d0e1f2a", name="node2", mac="52:54:00:00:00:02")


def network(
    name: str = "default", net: str = "192.168.122", last: int = 254, *, hosts: str = "", forward: bool = True
) -> str:
    mode = "<forward mode='nat'/><bridge name='virbr0'/>" if forward else ""
    return NETWORK.format(name=name, net=net, last=last, hosts=hosts, forward=mode)


def domain(name: str, uuid: str, devices: str = "") -> str:
    return DOMAIN.format(name=name, uuid=uuid, devices=devices)


@contextmanager
def node(folder: Path, *parts: str) -> Iterator[Any]:
    """Connect to a node that has these networks (running) and domains (running)."""
    file = folder / "node.xml"
    cpu = "<cpu><mhz>1</mhz><model>x</model><active>1</active><nodes>1</nodes><sockets>1</sockets><cores>1</cores>"
    file.write_text(f"<node>{''.join(parts)}{cpu}<threads>1</threads></cpu><memory>8192000</memory></node>")
    with connect(f"test://{file}") as connection:
        yield connection


class Kernel:
    """This host's routes, as ``ip`` would print them, and its devices, as folders."""

    def __init__(self, folder: Path) -> None:
        self.file, self.devices = folder / "routes.json", folder / "devices"
        self.devices.mkdir()
        self._routes: list[dict[str, Any]] = []
        self.file.write_text("[]")

    @property
    def command(self) -> tuple[str, ...]:
        return ("cat", str(self.file))

    def route(self, device: str, destination: str, **more: Any) -> None:
        self._routes.append({"dst": destination, "dev": device, "flags": [], **more})
        self.file.write_text(json.dumps(self._routes))

    def plug(self, bridge: str, port: str) -> None:
        (self.devices / bridge / "brif" / port).mkdir(parents=True)
