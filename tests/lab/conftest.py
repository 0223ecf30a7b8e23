"""What the tests on real hosts share."""

from lab.fixtures import *  # noqa: F403
