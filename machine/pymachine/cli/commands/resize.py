"""``resize``: change the size of machines that are powered off."""

from __future__ import annotations

import click

from pymachine.cli.app import App
from pymachine.cli.lookup import existing, unlock
from pymachine.cli.options import FORCE_UNLOCK, NAMES, command
from pymachine.cli.output import say
from pymachine.cli.parallel import for_each
from pymachine.sizes import parse_size


@command()
@click.option("--cpus", type=click.IntRange(min=1), metavar="N", help="Virtual processors.")
@click.option("--memory", metavar="SIZE", help="Memory: 4G, 1536M, or a number of MiB.")
@click.option("--disk", metavar="SIZE", help="Size of the disk; it can only grow: 40G.")
@FORCE_UNLOCK
@NAMES
@click.pass_obj
def resize(app: App, names: tuple[str, ...], cpus: int | None, memory: str | None, disk: str | None) -> None:
    """Change the size of stopped machines; it takes effect at the next start."""
    from pymachine.resize import Size
    from pymachine.resize import resize as change

    size = Size(cpus, _bytes(memory, "--memory"), _bytes(disk, "--disk"))
    tools = app.tools
    wanted = existing(app, names, careful=True)
    unlock(app, wanted)
    for_each(wanted, lambda name: change(name, size, tools), lambda name, _: say(f"{name} is resized"))


def _bytes(text: str | None, flag: str) -> int | None:
    return None if text is None else parse_size(text, flag)
