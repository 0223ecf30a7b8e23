"""What is asked of ``RunInstances``: pure, so that the same wishes always give the same request."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pymachine_aws import tags
from pymachine_aws.config import LaunchConfig, Volume
from pymachine_aws.site import Attempt


@dataclass(frozen=True, slots=True)
class Parts:
    """What a launch needs besides options and attempt: ids of groups, name of a key pair or empty."""

    tags: Mapping[str, str]
    user_data: bytes
    groups: tuple[str, ...]
    key_pair: str = ""


def run_body(wanted: LaunchConfig, attempt: Attempt, parts: Parts) -> dict[str, Any]:
    """Return the parameters, without a client token."""
    return {
        "MinCount": 1,
        "MaxCount": 1,
        "ImageId": attempt.image.id,
        "InstanceType": attempt.type,
        "NetworkInterfaces": [_interface(wanted, attempt, parts.groups)],
        "BlockDeviceMappings": [_root(wanted.volume, attempt)],
        "MetadataOptions": _metadata(wanted, parts.tags),
        "TagSpecifications": _tagged(attempt, parts.tags),
        "UserData": parts.user_data,
        **_extras(wanted, attempt, parts.key_pair),
    }


def digest_of(body: Mapping[str, Any]) -> str:
    """Return what tells one request from another."""
    text = json.dumps(body, sort_keys=True, default=lambda data: hashlib.sha256(data).hexdigest())
    return hashlib.sha256(text.encode()).hexdigest()


def _interface(wanted: LaunchConfig, attempt: Attempt, groups: tuple[str, ...]) -> dict[str, Any]:
    interface: dict[str, Any] = {
        "DeviceIndex": 0,
        "SubnetId": attempt.subnet.id,
        "Groups": list(groups),
        "DeleteOnTermination": True,
    }
    if wanted.way.public is not None:
        interface["AssociatePublicIpAddress"] = wanted.way.public
    if wanted.way.ipv6:
        interface["Ipv6AddressCount"] = 1
    return interface


def _root(volume: Volume, attempt: Attempt) -> dict[str, Any]:
    image = attempt.image
    disk: dict[str, Any] = {
        "VolumeSize": max(volume.size, image.size),
        "VolumeType": volume.kind,
        "Encrypted": volume.encrypted,
        "DeleteOnTermination": True,
    }
    asked = {"Iops": volume.iops, "Throughput": volume.throughput, "KmsKeyId": volume.kms_key}
    disk |= {name: value for name, value in asked.items() if value is not None}
    if not volume.encrypted:
        del disk["Encrypted"]  # false is refused where the snapshot or the account encrypts
    return {"DeviceName": volume.device or image.device, "Ebs": disk}


def _metadata(wanted: LaunchConfig, carried: Mapping[str, str]) -> dict[str, Any]:
    return {
        "HttpEndpoint": "enabled",
        "HttpTokens": wanted.metadata_tokens,
        "HttpPutResponseHopLimit": wanted.metadata_hops,
        "InstanceMetadataTags": "enabled" if tags.visible(carried) else "disabled",
    }


def _tagged(attempt: Attempt, carried: Mapping[str, str]) -> list[dict[str, Any]]:
    kinds = ["instance", "volume", "network-interface"]
    if attempt.market == "spot":
        kinds.append("spot-instances-request")
    return [tags.specification(kind, carried) for kind in kinds]


def _extras(wanted: LaunchConfig, attempt: Attempt, key_pair: str) -> dict[str, Any]:
    """What is left out where nobody asked for it: EC2, the image or the account then decide."""
    extras: dict[str, Any] = {}
    if wanted.instance_profile:
        kind = "Arn" if wanted.instance_profile.startswith("arn:") else "Name"
        extras["IamInstanceProfile"] = {kind: wanted.instance_profile}
    if attempt.market == "spot":
        extras["InstanceMarketOptions"] = {"MarketType": "spot", "SpotOptions": _spot(wanted)}
    else:
        extras["InstanceInitiatedShutdownBehavior"] = "stop"
    if wanted.monitoring:
        extras["Monitoring"] = {"Enabled": True}
    if wanted.ebs_optimized:
        extras["EbsOptimized"] = True
    if key_pair:
        extras["KeyName"] = key_pair
    return extras


def _spot(wanted: LaunchConfig) -> dict[str, Any]:
    options = {"SpotInstanceType": "one-time", "InstanceInterruptionBehavior": "terminate"}
    return {**options, "MaxPrice": wanted.spot_price} if wanted.spot_price else options
