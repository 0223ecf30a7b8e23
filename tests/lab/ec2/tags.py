"""What EC2 asks of tags and of the things that they are put on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lab.ec2.wire import Refusal
from lab.ec2.world import Exchange

NOT_FOUND = {
    "i": ("InvalidInstanceID.NotFound", "The instance ID '{}' does not exist"),
    "sg": ("InvalidGroup.NotFound", "The security group '{}' does not exist"),
    "vol": ("InvalidVolume.NotFound", "The volume '{}' does not exist."),
    "eni": ("InvalidNetworkInterfaceID.NotFound", "The networkInterface ID '{}' does not exist"),
    "key": ("InvalidKeyPair.NotFound", "The key pair ID '{}' does not exist"),
}


def check_tags(tags: Sequence[dict[str, Any]]) -> None:
    """Refuse keys that are empty, reserved, too long or given twice."""
    keys = [tag.get("Key", "") for tag in tags]
    for tag, key in zip(tags, keys, strict=True):
        if not key:
            raise Refusal("InvalidParameterValue", "Tag key cannot be null or empty")
        if key.lower().startswith("aws:"):
            told = "Tag keys starting with 'aws:' are reserved for internal use"
            raise Refusal("InvalidParameterValue", told)
        if len(key) > 128:
            raise Refusal("InvalidParameterValue", "Tag key exceeds the maximum length of 128 characters")
        if len(tag.get("Value", "")) > 256:
            raise Refusal("InvalidParameterValue", "Tag value exceeds the maximum length of 256 characters")
        if keys.count(key) > 1:
            raise Refusal("InvalidParameterValue", f"Duplicate tag key '{key}' specified.")


def before_create_tags(exchange: Exchange) -> None:
    """Check the tags, and that what they are for exists."""
    tree = exchange.call.nested()
    check_tags(tree.get("Tag", []))
    known = _known(exchange)
    for resource in tree.get("ResourceId", []):
        kind = resource.partition("-")[0]
        if kind in NOT_FOUND and resource not in known:
            code, told = NOT_FOUND[kind]
            raise Refusal(code, told.format(resource))


def _known(exchange: Exchange) -> set[str]:
    backend = exchange.backend
    groups = [group for groups in backend.groups.values() for group in groups]
    pairs = [pair.id for pair in backend.key_pairs.values()]
    return {*exchange.world.lives, *groups, *backend.volumes, *backend.enis, *pairs}


def before_tagged_create(exchange: Exchange) -> None:
    """Check the tags of anything else that is made with some."""
    for specification in exchange.call.nested().get("TagSpecification", []):
        check_tags(specification.get("Tag", []))
