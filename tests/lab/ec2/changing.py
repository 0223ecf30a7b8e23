"""Instances and volumes that are changed, as far as EC2 lets them be."""

from __future__ import annotations

from moto.ec2.models.instance_types import INSTANCE_TYPES

from lab.ec2.wire import Refusal
from lab.ec2.world import Exchange


def before_modify_instance(exchange: Exchange) -> None:
    """Refuse another type while it is not stopped, and one for another architecture."""
    kind = exchange.form.get("InstanceType.Value")
    life = exchange.world.lives.get(exchange.form.get("InstanceId", ""))
    if kind is None or life is None:
        return
    if life.instance.state != "stopped":
        raise Refusal("IncorrectInstanceState", f"The instance '{life.instance.id}' is not in the 'stopped' state.")
    arches = INSTANCE_TYPES.get(kind, {}).get("ProcessorInfo", {}).get("SupportedArchitectures", ())
    if life.instance.architecture not in arches:
        told = f"The instance type '{kind}' does not run the architecture '{life.instance.architecture}'."
        raise Refusal("InvalidInstanceAttributeValue", told)


def before_modify_volume(exchange: Exchange) -> None:
    """Refuse to shrink one, and to change it twice within six hours (EBS User Guide, requirements for changes)."""
    volume = exchange.backend.volumes.get(exchange.form.get("VolumeId", ""))
    if volume is None:
        raise Refusal("InvalidVolume.NotFound", f"The volume '{exchange.form.get('VolumeId')}' does not exist.")
    if int(exchange.form.get("Size", volume.size)) < int(volume.size):
        raise Refusal("InvalidParameterValue", "New size cannot be smaller than existing size")
    if volume.modifications:
        told = f"You've reached the maximum modification rate per volume limit: {volume.id}. Wait at least 6 hours."
        raise Refusal("VolumeModificationRateExceeded", told)
