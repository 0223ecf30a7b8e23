"""What the tests on real hosts share."""

from lab.ec2.fixtures import *  # noqa: F403
from lab.fixtures import *  # noqa: F403
from lab.kvm_fixtures import *  # noqa: F403
from lab.machine_fixtures import *  # noqa: F403
from lab.seeded import *  # noqa: F403
