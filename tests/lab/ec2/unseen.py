"""Eventual consistency: what was just made is not there yet for the first who look."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterator

from lab.ec2.wire import Refusal
from lab.ec2.world import Exchange, Life

INSTANCE_LOOKS = ("DescribeInstances", "DescribeInstanceStatus")
GROUP_LOOKS = ("DescribeSecurityGroups", "DescribeSecurityGroupRules")


@contextlib.contextmanager
def hiding(exchange: Exchange) -> Iterator[None]:
    """Hide what cannot be seen yet while moto answers, and count the look."""
    action = exchange.call.action
    if action in INSTANCE_LOOKS:
        with _instances_hidden(exchange):
            yield
        exchange.world.looked(iter(_looked_for(exchange)))
    elif action in GROUP_LOOKS:
        with _groups_hidden(exchange):
            yield
    else:
        _refuse_unseen_groups(exchange)
        yield


def _looked_for(exchange: Exchange) -> list[Life]:
    named = exchange.call.values("InstanceId")
    lives = exchange.world.of_region(exchange.call.region)
    return [life for life in lives if not named or life.instance.id in named]


@contextlib.contextmanager
def _instances_hidden(exchange: Exchange) -> Iterator[None]:
    backend, shown = exchange.backend, exchange.backend.reservations
    hidden = {life.instance.id for life in exchange.world.lives.values() if life.unseen}
    backend.reservations = {
        name: reservation
        for name, reservation in shown.items()
        if not hidden & {instance.id for instance in reservation.instances}
    }
    try:
        yield
    finally:
        backend.reservations = shown


@contextlib.contextmanager
def _groups_hidden(exchange: Exchange) -> Iterator[None]:
    backend, shown, unseen = exchange.backend, exchange.backend.groups, exchange.world.unseen_groups
    backend.groups = defaultdict(dict)
    for vpc, groups in shown.items():
        backend.groups[vpc] = {name: group for name, group in groups.items() if name not in unseen}
    try:
        yield
    finally:
        backend.groups = shown
    named = exchange.call.values("GroupId")
    _count([name for name in unseen if not named or name in named], unseen)


def _refuse_unseen_groups(exchange: Exchange) -> None:
    unseen = exchange.world.unseen_groups
    named = [name for name in unseen if name in exchange.form.values()]
    _count(named, unseen)
    if named:
        raise Refusal("InvalidGroup.NotFound", f"The security group '{named[0]}' does not exist")


def _count(names: list[str], unseen: dict[str, int]) -> None:
    for name in names:
        unseen[name] -= 1
        if not unseen[name]:
            del unseen[name]
