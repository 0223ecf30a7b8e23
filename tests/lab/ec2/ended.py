"""Terminated instances as EC2 shows them: nothing but the name is left, and readers must not count on more."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from lab.ec2.wire import Reply
from lab.ec2.world import Exchange

ANY = "{*}"  # moto names its replies after another version than it is asked for
GONE = (
    "vpcId", "subnetId", "privateIpAddress", "ipAddress", "networkInterfaceSet", "groupSet", "blockDeviceMapping",
    "iamInstanceProfile", "ipv6Address",
)  # fmt: skip
BLANK = ("privateDnsName", "dnsName")


def after_describe(exchange: Exchange) -> None:
    """Take out of a reply what terminated instances do not have any more."""
    lives = exchange.world.of_region(exchange.call.region)
    if exchange.reply and not exchange.refused and any(life.instance.state == "terminated" for life in lives):
        exchange.reply = _without_remains(exchange.reply)


def _without_remains(reply: Reply) -> Reply:
    tree = ET.fromstring(reply.body)
    for instance in tree.iterfind(f".//{ANY}instancesSet/{ANY}item"):
        if instance.findtext(f"{ANY}instanceState/{ANY}name") == "terminated":
            _strip(instance)
    return Reply(reply.status, ET.tostring(tree), reply.headers)


def _strip(instance: ET.Element) -> None:
    for name in GONE:
        for child in instance.findall(f"{ANY}{name}"):
            instance.remove(child)
    for name in BLANK:
        for child in instance.findall(f"{ANY}{name}"):
            child.text = ""
