"""docker-machine's flags of classic Swarm: a master becomes the first manager of a Swarm, the rest is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from pymachine.errors import UsageFault

_FLAGS = ("swarm", "swarm_master")
# What they set has no counterpart in Swarm mode; with the reason why.
_REFUSED: Mapping[str, str] = {
    "swarm_experimental": "Swarm mode has no experimental features to switch on",
    "swarm_image": "Swarm mode is part of the engine and needs no image",
    "swarm_discovery": "nodes of Swarm mode find each other without a discovery service",
    "swarm_addr": "the address that a node advertises is an option of `pymachine swarm create` and `join`",
    "swarm_strategy": "Swarm mode spreads tasks, and has placement preferences per service instead of a strategy",
    "swarm_host": "a manager of Swarm mode is used at its engine's own address",
    "swarm_opt": "Swarm mode has no manager program with options",
    "swarm_join_opt": "Swarm mode has no agent program with options",
}
_LISTS = ("swarm_opt", "swarm_join_opt")
_SAME = {"swarm_strategy": "spread"}  # the value that describes what Swarm mode does anyway


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


SWARM_FLAGS = (
    click.option("--swarm-master", is_flag=True, help="Create a Swarm with this machine as its first manager."),
    click.option(
        "--swarm", is_flag=True, help="With --swarm-master; a machine joins a Swarm by `pymachine swarm join`."
    ),
    *(
        click.option(_flag(name), name, multiple=name in _LISTS, is_flag=name == "swarm_experimental", hidden=True)
        for name in _REFUSED
    ),
)


def wants_manager(given: dict[str, Any]) -> bool:
    """Take the flags of Swarm out of ``given``; return whether the machine is to be the first manager of one.

    Raises ``UsageFault`` for what Swarm mode does not have.
    """
    swarm, master = (bool(given.pop(name)) for name in _FLAGS)
    others = {name: given.pop(name) for name in _REFUSED}
    for name, value in others.items():
        if value and _SAME.get(name) != value:
            raise UsageFault(
                f"{_flag(name)} is an option of classic Swarm: {_REFUSED[name]}",
                hint="create the machine without it, then use `pymachine swarm create` and `pymachine swarm join`",
            )
    if swarm and not master:
        raise UsageFault(
            "--swarm without --swarm-master names no Swarm to join",
            hint="create the machine without it, then `pymachine swarm join --help` shows how it joins",
        )
    return master
