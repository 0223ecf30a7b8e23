"""The command line under the name docker-machine: its commands, flags, messages and exit codes.

The program that ``pymachine compat install`` writes starts ``pymachine.cli.compat`` with its own path as the first
argument; that path is what says under which name the program runs.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pymachine.cli.dependencies import Wiring

__all__ = ["main"]


def main(words: "Sequence[str]", *, started: str = "docker-machine", wiring: "Wiring | None" = None) -> int:
    """Run one command line of docker-machine and return its exit code.

    ``words`` does not include the program's name, ``started`` is its path. ``wiring`` replaces the real network,
    terminal and drivers.
    """
    from pymachine.cli import open_streams

    open_streams()
    from pymachine.cli.compat.root import run

    return run(list(words), started, wiring)
