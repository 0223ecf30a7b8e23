"""What these tests share with those on real hosts."""

from lab.fixtures import *  # noqa: F403
from lab.kvm_fixtures import *  # noqa: F403
from lab.machine_fixtures import *  # noqa: F403
