"""The user-data of a machine's first boot: pymachine's, merged with the user's. Pure."""

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
