"""cloud-init's files for the first boot of a machine: ours, merged with those of its owner. Pure."""

from pymachine.cloudinit.config import SharedFolder, UserData
from pymachine.cloudinit.document import meta_data, network_config, user_data
from pymachine.cloudinit.parts import UserDataPart, multipart
from pymachine.cloudinit.settings import settings
from pymachine.cloudinit.user_data import NOTHING, Theirs, read_theirs

__all__ = [
    "NOTHING",
    "SharedFolder",
    "Theirs",
    "UserData",
    "UserDataPart",
    "meta_data",
    "multipart",
    "network_config",
    "read_theirs",
    "settings",
    "user_data",
]
