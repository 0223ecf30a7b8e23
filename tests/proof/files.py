"""How pytest-xdist hands out tests: a file to one worker, and files that share hosts to the same."""

from __future__ import annotations

from pathlib import PurePath

from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]

# Their tests use the same three hosts, one after another.
SHARE_HOSTS = ("test_swarm.py", "test_apply.py", "test_apply_killed.py", "test_apply_managers.py")


def group_of(test: str) -> str:
    """Name the group of a test, by the id of the test: one worker runs all of a group, in their order."""
    file = test.partition("::")[0]
    return "three hosts" if PurePath(file).name in SHARE_HOSTS else file


class Files(LoadFileScheduling):  # type: ignore[misc]
    """`--dist loadfile` with groups of files."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)
