"""Spot requests, of which moto keeps none for RunInstances: a persistent one outlives its instance."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from xml.sax.saxutils import escape

from moto.ec2.models import EC2Backend
from moto.ec2.models.instances import Instance

from lab.ec2.wire import Refusal, Reply, ec2_reply
from lab.ec2.world import Exchange, Life


@dataclass
class Spot:
    """One request; ``kind`` is one-time or persistent."""

    id: str
    region: str
    kind: str
    life: Life
    cancelled: bool = False

    @property
    def state(self) -> str:
        """As EC2 names it: a persistent request is open again once its instance is gone, and launches another."""
        if self.cancelled:
            return "cancelled"
        if self.life.instance.state not in ("shutting-down", "terminated"):
            return "active"
        return "open" if self.kind == "persistent" else "closed"


def ask_for_spot(exchange: Exchange, life: Life) -> None:
    """Make the request behind an instance that was launched as spot."""
    tree = exchange.call.nested()
    market = tree.get("InstanceMarketOptions", {})
    if market.get("MarketType") != "spot":
        return
    kind = market.get("SpotOptions", {}).get("SpotInstanceType", "one-time")
    life.one_time_spot = kind == "one-time"
    spot = Spot(f"sir-{uuid.uuid4().hex[:8]}", exchange.call.region, kind, life)
    exchange.world.spots[spot.id] = spot
    life.instance.spot_instance_request_id = spot.id  # type: ignore[attr-defined]
    for specification in tree.get("TagSpecification", []):
        if specification.get("ResourceType") == "spot-instances-request":
            tags = {tag["Key"]: tag.get("Value", "") for tag in specification.get("Tag", [])}
            exchange.backend.create_tags([spot.id], tags)


def request_of(instance: Instance) -> str | None:
    """The id of the request behind an instance."""
    return getattr(instance, "spot_instance_request_id", None)


def describe_requests(exchange: Exchange) -> Reply:
    """DescribeSpotInstanceRequests."""
    spots = _named(exchange)
    for wanted in exchange.call.nested().get("Filter", []):
        spots = [spot for spot in spots if _matches(exchange.backend, spot, wanted["Name"], wanted.get("Value", []))]
    items = "".join(f"<item>{_item(exchange.backend, spot)}</item>" for spot in spots)
    return ec2_reply(exchange.call, f"<spotInstanceRequestSet>{items}</spotInstanceRequestSet>")


def cancel_requests(exchange: Exchange) -> Reply:
    """CancelSpotInstanceRequests: the instance stays."""
    spots = _named(exchange)
    for spot in spots:
        spot.cancelled = True
    items = "".join(f"<item>{_id(spot)}<state>cancelled</state></item>" for spot in spots)
    return ec2_reply(exchange.call, f"<spotInstanceRequestSet>{items}</spotInstanceRequestSet>")


def _named(exchange: Exchange) -> list[Spot]:
    here = {spot.id: spot for spot in exchange.world.spots.values() if spot.region == exchange.call.region}
    names = exchange.call.values("SpotInstanceRequestId")
    for name in names:
        if name not in here:
            told = f"The spot instance request ID '{name}' does not exist"
            raise Refusal("InvalidSpotInstanceRequestID.NotFound", told)
    return [here[name] for name in names] if names else list(here.values())


def _matches(backend: EC2Backend, spot: Spot, name: str, values: list[str]) -> bool:
    tags = backend.tags.get(spot.id, {})
    if name.startswith("tag:"):
        return tags.get(name.removeprefix("tag:")) in values
    if name == "tag-key":
        return bool(set(tags) & set(values))
    known = {"state": spot.state, "instance-id": spot.life.instance.id, "spot-instance-request-id": spot.id}
    if name not in known:
        raise NotImplementedError(f"filter {name} of DescribeSpotInstanceRequests")
    return known[name] in values


def _id(spot: Spot) -> str:
    return f"<spotInstanceRequestId>{spot.id}</spotInstanceRequestId>"


def _item(backend: EC2Backend, spot: Spot) -> str:
    tags = backend.tags.get(spot.id, {}).items()
    shown = "".join(f"<item><key>{escape(key)}</key><value>{escape(value)}</value></item>" for key, value in tags)
    made = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    state = f"<state>{spot.state}</state><type>{spot.kind}</type><createTime>{made}</createTime>"
    return f"{_id(spot)}{state}<instanceId>{spot.life.instance.id}</instanceId><tagSet>{shown}</tagSet>"
