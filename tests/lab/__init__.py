"""Real hosts for tests: systemd containers on a bridge, with SSH, a package manager and Docker if asked."""

from lab.core import Lab
from lab.host import Host
from lab.options import HostSpec, Seed, User
from lab.sh import LabError

__all__ = ["Host", "HostSpec", "Lab", "LabError", "Seed", "User"]
