"""Client tokens, and what moto forgets of a launch that it performed."""

from __future__ import annotations

import re
from typing import Any

from moto.ec2.models.instances import Instance

from lab.ec2.launch import check_launch
from lab.ec2.spot import ask_for_spot, request_of
from lab.ec2.wire import Refusal, Reply
from lab.ec2.world import Exchange, Launch

NOT_COMPARED = ("ClientToken", "DryRun")


def before_launch(exchange: Exchange) -> Reply | None:
    """Answer from the table of tokens, or refuse, or let moto launch."""
    call = exchange.call
    token = call.form.get("ClientToken", "")
    if len(token) > 64 or not token.isascii():
        raise Refusal("InvalidParameterValue", f"Value ({token}) for parameter clientToken is invalid.")
    known = exchange.world.tokens.get((call.region, token)) if token else None
    if known:
        return _again(exchange, known)
    asked = _compared(exchange)
    check_launch(exchange)
    call.environ["lab.asked"] = asked
    return None


def _compared(exchange: Exchange) -> dict[str, str]:
    return {key: value for key, value in exchange.form.items() if key not in NOT_COMPARED}


def _again(exchange: Exchange, launch: Launch) -> Reply:
    if launch.request != _compared(exchange):
        told = "Arguments on this idempotent request are inconsistent with arguments used in previous request(s)."
        raise Refusal("IdempotentParameterMismatch", told)
    states = [exchange.world.lives[name].instance.state for name in launch.instances if name in exchange.world.lives]
    if not states or any(state in ("shutting-down", "terminated") for state in states):
        told = "The client token is associated with an instance that was terminated. Use another client token."
        raise Refusal("IdempotentInstanceTerminated", told)
    return launch.reply


def after_launch(exchange: Exchange) -> None:
    """Complete the new instances and remember the token."""
    if exchange.refused or exchange.reply is None:
        return
    names = re.findall(rb"<instanceId>(i-[0-9a-f]+)</instanceId>", exchange.reply.body)
    ids = tuple(dict.fromkeys(name.decode() for name in names))
    for name in ids:
        _complete(exchange, exchange.backend.get_instance(name))
    if ids:
        exchange.reply = _told_again(exchange, exchange.reply, ids)
    if token := exchange.form.get("ClientToken"):
        launch = Launch(exchange.call.environ["lab.asked"], exchange.reply, ids)
        exchange.world.tokens[exchange.call.region, token] = launch


def _complete(exchange: Exchange, instance: Instance) -> None:
    tree = exchange.call.nested()
    world = exchange.world
    life = world.born(instance, exchange.call.region)
    _tag_interfaces(instance, tree)
    for nic in instance.nics.values():
        asked: dict[str, str] = next(iter(tree.get("NetworkInterface", [])), {})
        nic.delete_on_termination = asked.get("DeleteOnTermination", "true") == "true"
        if nic.public_ip and world.settings.public_pool:
            nic.public_ip = public_address(exchange)
    if not instance.security_groups:
        instance.security_groups = list(instance.nics[0].group_set)
    _complete_volumes(exchange, instance, tree)
    ask_for_spot(exchange, life)
    ipv6 = instance.nics[0].ipv6_addresses
    instance.ipv6_address = ipv6[0] if ipv6 else None  # type: ignore[attr-defined]


def public_address(exchange: Exchange) -> str:
    address = exchange.world.next_public()
    if address is None:
        raise Refusal("AddressLimitExceeded", "The test EC2 has no public address left", 500)
    return address


def _tag_interfaces(instance: Instance, tree: dict[str, Any]) -> None:
    for specification in tree.get("TagSpecification", []):
        if specification.get("ResourceType") == "network-interface":
            for nic in instance.nics.values():
                nic.add_tags({tag["Key"]: tag.get("Value", "") for tag in specification.get("Tag", [])})


def _complete_volumes(exchange: Exchange, instance: Instance, tree: dict[str, Any]) -> None:
    asked = {item.get("DeviceName"): item.get("Ebs", {}) for item in tree.get("BlockDeviceMapping", [])}
    for device, block in instance.get_block_device_mapping:
        volume = exchange.backend.volumes[block.volume_id]
        wanted = asked.get(device, {})
        if volume.volume_type == "gp3":
            volume.iops = int(wanted.get("Iops", 3000))
            volume.throughput = int(wanted.get("Throughput", 125))
        elif "Iops" in wanted:
            volume.iops = int(wanted["Iops"])


def _told_again(exchange: Exchange, reply: Reply, ids: tuple[str, ...]) -> Reply:
    """The reply with what was completed since moto wrote it: state and spot request, and no public address yet."""
    text = re.sub(r"<(ipAddress|association)>.*?</\1>", "", reply.body.decode(), flags=re.DOTALL)
    text = text.replace("<code>16</code><name>running</name>", "<code>0</code><name>pending</name>")
    for name in ids:
        instance = exchange.backend.get_instance(name)
        if request := request_of(instance):
            mark = f"<instanceId>{name}</instanceId>"
            text = text.replace(mark, f"{mark}<spotInstanceRequestId>{request}</spotInstanceRequestId>", 1)
    return Reply(reply.status, text.encode(), reply.headers)
