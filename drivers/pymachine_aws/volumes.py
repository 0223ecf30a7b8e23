"""The root volume as people ask for it, and what EBS lets it be. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from pymachine.errors import UsageFault
from pymachine.sizes import GIB, parse_size
from pymachine_aws.config import Volume
from pymachine_aws.options import AwsOptions


@dataclass(frozen=True, slots=True)
class VolumeType:
    """A type of volume: least and most GiB, I/O operations a second and MiB/s; empty where it takes none.

    ``ratio`` is how many operations a second there may be for each GiB.
    """

    sizes: tuple[int, int]
    iops: tuple[int, int] | None = None
    ratio: int = 0
    throughput: tuple[int, int] | None = None
    needs_iops: bool = False


# Amazon EBS User Guide, "Amazon EBS volume types"; st1 and sc1 cannot be booted from.
KINDS = {
    "gp3": VolumeType((1, 65536), (3000, 80000), 500, (125, 2000)),
    "gp2": VolumeType((1, 16384)),
    "io1": VolumeType((4, 16384), (100, 64000), 50, needs_iops=True),
    "io2": VolumeType((4, 65536), (100, 256000), 1000, needs_iops=True),
    "standard": VolumeType((1, 1024)),
}
_PER_THROUGHPUT = 4  # operations a second that gp3 wants for each MiB/s
_BASE_IOPS = 3000


def read_volume(options: AwsOptions) -> Volume:
    """Return the root volume. Raises ``UsageFault`` for what EBS would refuse."""
    kind = _kind(options.aws_volume_type)
    volume = Volume(
        size=_gib(options.aws_root_size),
        kind=options.aws_volume_type,
        iops=options.aws_volume_iops,
        throughput=options.aws_volume_throughput,
        encrypted=options.aws_volume_encrypted,
        kms_key=options.aws_kms_key,
        device=options.aws_device_name,
    )
    _check_size(volume, kind)
    _check_iops(volume, kind)
    _check_throughput(volume, kind)
    _check_rest(volume)
    return volume


def _kind(name: str) -> VolumeType:
    if name in ("st1", "sc1"):
        raise UsageFault(f"--aws-volume-type: {name} cannot be a boot volume", hint="give gp3")
    if name not in KINDS:
        raise UsageFault(f"--aws-volume-type: no type {name!r}", hint=f"types: {', '.join(KINDS)}")
    return KINDS[name]


def _gib(text: str) -> int:
    """Return GiB, rounded up; a bare number is one, as docker-machine has it."""
    if text.strip().isdecimal():
        return int(text)
    return -(-parse_size(text, "--aws-root-size") // GIB)


def _check_size(volume: Volume, kind: VolumeType) -> None:
    least, most = kind.sizes
    if not least <= volume.size <= most:
        raise UsageFault(
            f"--aws-root-size: {volume.size} GiB is out of range for {volume.kind}",
            hint=f"give {least} to {most} GiB",
        )


def _check_iops(volume: Volume, kind: VolumeType) -> None:
    if volume.iops is None:
        if kind.needs_iops:
            raise UsageFault(f"--aws-volume-type: {volume.kind} needs --aws-volume-iops", hint="give it, or use gp3")
        return
    if kind.iops is None:
        raise UsageFault(
            f"--aws-volume-iops: {volume.kind} does not support it", hint="--aws-volume-type gp3, io1 or io2"
        )
    _check_range(volume.iops, kind.iops, "--aws-volume-iops", volume.kind)
    if volume.iops > max(kind.ratio * volume.size, _BASE_IOPS if volume.kind == "gp3" else 0):
        raise UsageFault(
            f"--aws-volume-iops: {volume.iops} are too many for {volume.size} GiB of {volume.kind}",
            hint=f"at most {kind.ratio} for each GiB: raise --aws-root-size",
        )


def _check_throughput(volume: Volume, kind: VolumeType) -> None:
    if volume.throughput is None:
        return
    if kind.throughput is None:
        raise UsageFault(f"--aws-volume-throughput: {volume.kind} does not support it", hint="--aws-volume-type gp3")
    _check_range(volume.throughput, kind.throughput, "--aws-volume-throughput", volume.kind)
    needed = volume.throughput * _PER_THROUGHPUT
    if (volume.iops or _BASE_IOPS) < needed:
        raise UsageFault(
            f"--aws-volume-throughput: {volume.throughput} MiB/s need more I/O operations per second",
            hint=f"--aws-volume-iops {needed}",
        )


def _check_range(value: int, limits: tuple[int, int], flag: str, kind: str) -> None:
    if not limits[0] <= value <= limits[1]:
        raise UsageFault(f"{flag}: {value} is out of range for {kind}", hint=f"give {limits[0]} to {limits[1]}")


def _check_rest(volume: Volume) -> None:
    if volume.kms_key is not None and not volume.encrypted:
        raise UsageFault("--aws-kms-key: the volume is not encrypted", hint="omit one of the two")
    if volume.kms_key is not None and not volume.kms_key.strip():
        raise UsageFault("--aws-kms-key: it is empty", hint="give a key's id, ARN or alias/NAME")
    device = volume.device
    if device is not None and (not device.removeprefix("/dev/").isalnum()):
        raise UsageFault(f"--aws-device-name: {device!r} is not a valid device", hint="omit it: the image defines it")
