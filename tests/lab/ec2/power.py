"""Starting and stopping as EC2 allows it, with the states on the way."""

from __future__ import annotations

import re

from lab.ec2.launched import public_address
from lab.ec2.wire import Refusal
from lab.ec2.world import Exchange, Life, set_state

ALLOWED = {
    "StartInstances": ("started", {"stopped", "pending", "running"}),
    "StopInstances": ("stopped", {"running", "stopping", "stopped"}),
    "RebootInstances": ("rebooted", {"running", "pending"}),
}


def check_ids(exchange: Exchange) -> None:
    """Refuse what is no instance id, before looking for it."""
    for name in exchange.call.values("InstanceId"):
        if not re.fullmatch(r"i-[0-9a-f]{8,17}", name):
            raise Refusal("InvalidInstanceID.Malformed", f'Invalid id: "{name}"')


def before_power(exchange: Exchange) -> None:
    """Refuse from a state that does not allow it, and stopping spot instances that exist only once."""
    check_ids(exchange)
    verb, states = ALLOWED[exchange.call.action]
    for life in exchange.lives():
        if life.instance.state not in states:
            told = f"The instance '{life.instance.id}' is not in a state from which it can be {verb}."
            raise Refusal("IncorrectInstanceState", told)
        if verb == "stopped" and life.one_time_spot:
            told = (
                f"You can't stop the Spot Instance '{life.instance.id}' because it is associated with a one-time "
                "Spot Instance request. You can only stop Spot Instances associated with persistent Spot Instance "
                "requests."
            )
            raise Refusal("UnsupportedOperation", told)
    exchange.call.environ["lab.states"] = {life.instance.id: life.instance.state for life in exchange.lives()}


def after_start(exchange: Exchange) -> None:
    """Pending first, with another public address."""
    for life in _moved(exchange, {"stopped"}):
        world = exchange.world
        world.pass_through(life, "pending", "running", world.settings.pending_ms, world.settings.pending_looks)
        for nic in life.instance.nics.values():
            if nic.public_ip and world.settings.public_pool:
                nic.public_ip = public_address(exchange)


def after_reboot(exchange: Exchange) -> None:
    """Running all the time; counted for whoever boots the instances."""
    for life in _moved(exchange, {"running", "pending"}):
        life.reboots += 1


def after_stop(exchange: Exchange) -> None:
    """Stopping first."""
    for life in _moved(exchange, {"running"}):
        exchange.world.pass_through(life, "stopping", "stopped", exchange.world.settings.stopping_ms)


def before_terminate(exchange: Exchange) -> None:
    """Any state will do; those already on their way stay there."""
    check_ids(exchange)
    exchange.call.environ["lab.states"] = {life.instance.id: life.instance.state for life in exchange.lives()}


def after_terminate(exchange: Exchange) -> None:
    """Shutting down first."""
    world = exchange.world
    for life in _moved(exchange, {"pending", "running", "stopping", "stopped"}):
        world.pass_through(life, "shutting-down", "terminated", world.settings.shutting_down_ms)
        life.end()


def _moved(exchange: Exchange, states: set[str]) -> list[Life]:
    """The instances that were in one of these states; the others go back to where they were."""
    was: dict[str, str] = exchange.call.environ["lab.states"]
    if exchange.refused:
        return []
    for life in exchange.lives():
        if was[life.instance.id] not in states:
            set_state(life.instance, was[life.instance.id])
    return [life for life in exchange.lives() if was[life.instance.id] in states]
