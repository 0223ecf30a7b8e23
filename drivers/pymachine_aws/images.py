"""Resolves the user's image to AMIs of the region, one per wanted architecture."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pymachine.errors import CheckFailed, Unreachable, UsageFault
from pymachine_aws.api import ApiError, AwsAccount
from pymachine_aws.site import AmiChoice

ARCHES = ("x86_64", "arm64")
FALLBACK_USER = "ec2-user"

AMI = re.compile(r"ami-(?:[0-9a-f]{8}|[0-9a-f]{17})")

_CANONICAL = ("099720109477", "513442679011", "837727238323")  # aws, aws-us-gov, aws-cn
_DEBIAN = ("136693071363",)
_AMAZON = ("amazon",)
_DPKG = {"x86_64": "amd64", "arm64": "arm64"}
_KERNEL = {"x86_64": "x86_64", "arm64": "arm64"}

Described = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AmiVendor:
    """One alias: where its maker publishes it; ``{arch}`` stands for the architecture in the maker's words.

    ``parameter`` is the public parameter of Systems Manager that holds the newest AMI's id, ``owners`` and ``name``
    (a pattern) find the AMIs themselves, ``user`` is the account that they have.
    """

    parameter: str
    owners: tuple[str, ...]
    name: str
    user: str
    words: Mapping[str, str]

    def path(self, arch: str) -> str:
        """Return the parameter for ``x86_64`` or ``arm64``."""
        return self.parameter.replace("{arch}", self.words[arch])

    def pattern(self, arch: str) -> str:
        """Return the pattern of names for ``x86_64`` or ``arm64``."""
        return self.name.replace("{arch}", self.words[arch])


def _ubuntu(number: str, codename: str, disk: str, folder: str) -> AmiVendor:
    return AmiVendor(
        parameter=f"/aws/service/canonical/ubuntu/server/{number}/stable/current/{{arch}}/hvm/ebs-{disk}/ami-id",
        owners=_CANONICAL,
        name=f"ubuntu/images/{folder}/ubuntu-{codename}-{number}-{{arch}}-server-*",
        user="ubuntu",
        words=_DPKG,
    )


def _debian(number: str) -> AmiVendor:
    return AmiVendor(
        parameter=f"/aws/service/debian/release/{number}/latest/{{arch}}",
        owners=_DEBIAN,
        name=f"debian-{number}-{{arch}}-*",
        user="admin",
        words=_DPKG,
    )


ALIASES = {
    "ubuntu-26.04": _ubuntu("26.04", "resolute", "gp3", "hvm-ssd-gp3"),
    "ubuntu-24.04": _ubuntu("24.04", "noble", "gp3", "hvm-ssd-gp3"),
    "ubuntu-22.04": _ubuntu("22.04", "jammy", "gp2", "hvm-ssd"),
    "debian-13": _debian("13"),
    "debian-12": _debian("12"),
    "al2023": AmiVendor(
        parameter="/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-{arch}",
        owners=_AMAZON,
        name="al2023-ami-2023.*-kernel-*-{arch}",
        user="ec2-user",
        words=_KERNEL,
    ),
}
_SHORT = {"ubuntu": "ubuntu-24.04", "debian": "debian-13"}

# Accounts of images by how their names begin, as their makers document them.
_USERS = (
    ("ubuntu", "ubuntu"), ("debian", "admin"), ("al20", "ec2-user"), ("amzn", "ec2-user"), ("rhel", "ec2-user"),
    ("suse", "ec2-user"), ("fedora", "fedora"), ("rocky", "rocky"), ("almalinux", "ec2-user"), ("flatcar", "core"),
    ("centos stream", "ec2-user"), ("centos", "centos"), ("alpine", "alpine"), ("bitnami", "bitnami"),
)  # fmt: skip


def check_name(text: str, flag: str) -> str:
    """Return an AMI's id, or an alias in full (``ubuntu`` is ``ubuntu-24.04``). Raises ``UsageFault``."""
    name = _SHORT.get(text, text)
    if name in ALIASES or AMI.fullmatch(name):
        return name
    if name.startswith("ami-"):
        raise UsageFault(f"{flag}: {text!r} is not a valid AMI ID", hint="one looks like ami-0123456789abcdef0")
    near = difflib.get_close_matches(name, ALIASES, n=1)
    known = f"available: {', '.join(ALIASES)}, and AMIs such as ami-0123456789abcdef0"
    raise UsageFault(f"{flag}: no image {text!r}", hint=f"did you mean {near[0]}? {known}" if near else known)


def find(account: AwsAccount, name: str, arches: Sequence[str]) -> dict[str, AmiChoice]:
    """Return the image for each of ``arches`` that has one; ``name`` is as from ``check_name``.

    An AMI has one architecture only. Costs two calls for an alias, one for an AMI. Raises ``CheckFailed`` for images
    that cannot be launched, and as ``AwsAccount.read``.
    """
    vendor = ALIASES.get(name)
    found = [_by_id(account, name)] if vendor is None else _newest(account, name, vendor, arches)
    return {str(each["Architecture"]): _image(each, vendor) for each in found}


def user_of(account: AwsAccount, image_id: str) -> str:
    """Return the account that an AMI is known to have, or an empty string. Raises as ``AwsAccount.read``."""
    found = _described(account, [image_id])
    return _user(found[0]) if found else ""


def _by_id(account: AwsAccount, image_id: str) -> Described:
    found = _described(account, [image_id])
    if not found:
        raise CheckFailed(
            f"there is no image {image_id} in {account.region}",
            hint="AMIs are of one region: give one of this region, or an alias such as ubuntu-24.04",
        )
    return found[0]


def _newest(account: AwsAccount, name: str, vendor: AmiVendor, arches: Sequence[str]) -> list[Described]:
    """Return an alias's images: those its maker's parameters name, else the newest by owner and name."""
    ids = _from_parameters(account, vendor, arches)
    found = _described(account, ids) if ids else []
    there = {each["Architecture"] for each in found}
    found += _by_pattern(account, vendor, [arch for arch in arches if arch not in there])
    if not found:
        raise CheckFailed(
            f"there is no image {name} for {' or '.join(arches)} in {account.region}",
            hint="give an AMI of the region: --aws-image ami-…",
        )
    return found


def _from_parameters(account: AwsAccount, vendor: AmiVendor, arches: Sequence[str]) -> list[str]:
    """Return ids; none where Systems Manager may not be asked, or cannot be reached from here."""
    names = [vendor.path(arch) for arch in arches]
    try:
        answer = account.read("get_parameters", "look up the image", service="ssm", Names=names)
    except (ApiError, Unreachable):
        return []
    return [str(each["Value"]) for each in answer.get("Parameters", ())]


def _by_pattern(account: AwsAccount, vendor: AmiVendor, arches: Sequence[str]) -> list[Described]:
    if not arches:
        return []
    filters = [
        {"Name": "name", "Values": [vendor.pattern(arch) for arch in arches]},
        {"Name": "architecture", "Values": list(arches)},
        {"Name": "state", "Values": ["available"]},
    ]
    what = "look for the image"
    found = account.pages("describe_images", "Images", what, Owners=list(vendor.owners), Filters=filters)
    by_age = sorted(found, key=lambda each: str(each.get("CreationDate", "")))
    return list({each["Architecture"]: each for each in by_age}.values())


def _described(account: AwsAccount, ids: Sequence[str]) -> list[Described]:
    """Return images, none where one of them is not there: EC2 then fails the whole call."""
    try:
        return list(account.pages("describe_images", "Images", "look at the image", ImageIds=list(ids)))
    except ApiError as error:
        if not error.code.startswith(("InvalidAMIID", "InvalidAMIId")):
            raise
        return []


def _image(described: Described, vendor: AmiVendor | None) -> AmiChoice:
    _check(described)
    device = str(described["RootDeviceName"])
    return AmiChoice(
        id=str(described["ImageId"]),
        name=str(described.get("Name", "")),
        arch=str(described["Architecture"]),
        device=device,
        size=_size(described, device),
        user=vendor.user if vendor else _user(described) or FALLBACK_USER,
    )


def _check(described: Described) -> None:
    """Raise ``CheckFailed`` for an image that no Linux machine with an EBS root can boot."""
    which = f"image {described['ImageId']}"
    if described.get("State", "available") != "available":
        raise CheckFailed(f"{which} is {described['State']}", hint="wait until it is available, or give another")
    if described.get("Platform") == "windows":
        raise CheckFailed(f"{which} is Windows", hint="give a Linux image, such as ubuntu-24.04")
    if described.get("RootDeviceType", "ebs") != "ebs" or not described.get("RootDeviceName"):
        raise CheckFailed(f"{which} has no EBS volume as its root", hint="give an image of root device type ebs")
    if described["Architecture"] not in ARCHES:
        raise CheckFailed(
            f"{which} is for {described['Architecture']}", hint=f"give an image for {' or '.join(ARCHES)}"
        )


def _size(described: Described, device: str) -> int:
    disks = {each.get("DeviceName"): each.get("Ebs", {}) for each in described.get("BlockDeviceMappings", ())}
    return int(disks.get(device, {}).get("VolumeSize", 1))


def _user(described: Described) -> str:
    """Return the account by the image's owner, else by its name; empty for an image like no known one."""
    owner = described.get("OwnerId")
    if owner in _CANONICAL:
        return "ubuntu"
    if owner in _DEBIAN:
        return "admin"
    name = str(described.get("Name", "")).lower()
    return next((user for start, user in _USERS if name.startswith(start)), "")
