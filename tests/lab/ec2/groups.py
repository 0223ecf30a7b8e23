"""Security groups as EC2 guards them: names, use, address ranges, and batches that go in whole or not at all."""

from __future__ import annotations

import ipaddress
import re

from moto.ec2.models.security_groups import SecurityGroup

from lab.ec2.launch import find_group
from lab.ec2.tags import before_tagged_create
from lab.ec2.wire import Refusal
from lab.ec2.world import Exchange

WITH_PORTS = ("tcp", "udp", "icmp", "icmpv6", "6", "17", "1", "58", "-1")
ALLOWED = re.compile(r"[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{1,255}")


def before_create_group(exchange: Exchange) -> None:
    """Refuse names that AWS reserves or already has in another case; without a VPC the default one is meant."""
    form = exchange.form
    name = form.get("GroupName", "")
    if name.lower().startswith("sg-"):
        told = f"Value ({name}) for parameter GroupName is invalid. Group names may not be in the format sg-*."
        raise Refusal("InvalidParameterValue", told)
    for key, value in (("GroupName", name), ("GroupDescription", form.get("GroupDescription", "x"))):
        if not ALLOWED.fullmatch(value):
            raise Refusal("InvalidParameterValue", f"Value ({value}) for parameter {key} is invalid.")
    before_tagged_create(exchange)
    default = exchange.backend.get_default_vpc()
    if "VpcId" not in form and default:
        form["VpcId"] = default.id
    vpc = form.get("VpcId", "")
    if vpc not in exchange.backend.vpcs:
        raise Refusal("InvalidVpcID.NotFound", f"The vpc ID '{vpc}' does not exist")
    if name.lower() in [group.name.lower() for group in exchange.backend.groups[vpc].values()]:
        raise Refusal("InvalidGroup.Duplicate", f"The security group '{name}' already exists for VPC '{vpc}'")


def after_create_group(exchange: Exchange) -> None:
    """Hide the new group for as many looks as asked."""
    hidden = exchange.world.settings.group_unseen
    if exchange.reply and not exchange.refused and hidden:
        found = re.search(rb"<groupId>(sg-[0-9a-f]+)</groupId>", exchange.reply.body)
        if found:
            exchange.world.unseen_groups[found[1].decode()] = hidden


def before_delete_group(exchange: Exchange) -> None:
    """Refuse while an interface of any instance that is not terminated has the group."""
    form = exchange.form
    if "GroupId" not in form:
        return
    group = find_group(exchange, form["GroupId"])
    if group.is_default:
        told = f'the specified group: "{group.id}" name: "default" cannot be deleted by a user'
        raise Refusal("CannotDelete", told)
    if group.id in _in_use(exchange) or _referenced(exchange, group):
        raise Refusal("DependencyViolation", f"resource {group.id} has a dependent object")


def _in_use(exchange: Exchange) -> set[str]:
    living = [life.instance for life in exchange.world.of_region(exchange.call.region)]
    nics = [nic for item in living if item.state != "terminated" for nic in item.nics.values()]
    nics += exchange.backend.enis.values()
    return {group.id for nic in nics for group in nic.group_set}


def _referenced(exchange: Exchange, group: SecurityGroup) -> bool:
    others = [other for groups in exchange.backend.groups.values() for other in groups.values() if other is not group]
    rules = [rule for other in others for rule in (*other.ingress_rules, *other.egress_rules)]
    return any((rule.source_group or {}).get("GroupId") == group.id for rule in rules)


def before_authorize(exchange: Exchange) -> None:
    """Normalise address ranges, and keep the rules there were, for a batch that is refused half way.

    Of protocols that have no ports all is meant, whatever is given (API Reference, IpPermission); moto wants some.
    """
    for key, value in list(exchange.form.items()):
        if key.endswith(".IpProtocol") and value not in WITH_PORTS:
            exchange.form[key.replace("IpProtocol", "FromPort")] = "0"
            exchange.form[key.replace("IpProtocol", "ToPort")] = "65535"
    for key, value in list(exchange.form.items()):
        if key.endswith((".CidrIp", ".CidrIpv6")) or key in ("CidrIp", "CidrIpv4", "CidrIpv6"):
            exchange.form[key] = _network(value)
    if "GroupId" in exchange.form:
        group = find_group(exchange, exchange.form["GroupId"])
        exchange.call.environ["lab.rules"] = (group, list(group.ingress_rules), list(group.egress_rules))


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        raise Refusal("InvalidParameterValue", f"CIDR block {text} is malformed") from None


def after_authorize(exchange: Exchange) -> None:
    """Take back what a refused batch had added."""
    if exchange.refused and "lab.rules" in exchange.call.environ:
        group, ingress, egress = exchange.call.environ["lab.rules"]
        group.ingress_rules, group.egress_rules = ingress, egress
