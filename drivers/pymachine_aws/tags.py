"""The tags by which our things are found again, in AWS's console as well as by ``rm`` and ``gc``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

ID = "pymachine:id"
NAME = "pymachine:name"
STORE = "pymachine:store"
GROUP = "pymachine:group"
MACHINES = "machines"

# What a tag's key may hold where the instance itself shall see it (EC2 User Guide, tags in instance metadata).
_VISIBLE = re.compile(r"(?!(\.{1,2}|_index)$)[A-Za-z0-9+\-=.,_:@]+")


def of_machine(name: str, machine_id: str, store: str, theirs: Mapping[str, str]) -> dict[str, str]:
    """Return the tags of everything that is made for one machine: the user's, then ours.

    There is none for the time: a repeated launch must say the same as the first, and EC2 keeps its time anyway.
    """
    ours = {ID: machine_id, NAME: name, **({STORE: store} if store else {})}
    return {"Name": name, **theirs, **ours}


def of_group() -> dict[str, str]:
    """Return the tags of the security group that all our machines of a VPC share."""
    return {"Name": "pymachine", GROUP: MACHINES}


def listed(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Return tags as the API takes them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def specification(kind: str, tags: Mapping[str, str]) -> dict[str, Any]:
    """Return the part of a request that tags what it makes; ``kind`` is ``instance``, ``volume`` and so on."""
    return {"ResourceType": kind, "Tags": listed(tags)}


def read(described: Mapping[str, Any]) -> dict[str, str]:
    """Return the tags of something that the API described."""
    return {tag["Key"]: tag["Value"] for tag in described.get("Tags", ())}


def visible(tags: Mapping[str, str]) -> bool:
    """Whether an instance with these tags may see them in its metadata; else EC2 would refuse the launch."""
    return all(_VISIBLE.fullmatch(key) for key in tags)
