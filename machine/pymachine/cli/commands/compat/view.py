"""``compat view``: keep docker-machine's files in the store for programs that read them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from pymachine.cli.app import App
from pymachine.cli.options import JSON, command
from pymachine.cli.output import dump, note, say
from pymachine.errors import PymachineError

if TYPE_CHECKING:
    from pymachine.store import Store


@command()
@JSON
@click.argument("state", required=False, type=click.Choice(["on", "off"]))
@click.pass_obj
def view(app: App, state: str | None, as_json: bool) -> None:
    """Keep docker-machine's files for programs that read them, such as GitLab Runner.

    While it is on, the store has machines/NAME/config.json for each machine. Folders there that docker-machine made
    are left alone, and listed with the command that imports them. Without on or off, the state is printed.

    \b
    Examples:
      pymachine compat view on
      MACHINE_STORAGE_PATH=/srv/runner pymachine compat view
    """
    from pymachine.docker_machine import runner_view
    from pymachine.docker_machine.files import MACHINES

    if state is not None:
        _do(runner_view.enable if state == "on" else runner_view.remove, app.store)
    is_on, foreign = runner_view.is_on(app.store), runner_view.RunnerView(app.store).foreign()
    folder = app.folder / MACHINES
    if as_json:
        dump({"on": is_on, "folder": str(folder), "not_imported": foreign})
        return
    say(f"the view is on: {folder}" if is_on else "the view is off")
    for name in foreign:
        note(f"note: {name} is a machine of docker-machine: {runner_view.import_hint(app.folder, name)}")


def _do(change: Callable[[Store], object], store: Store) -> None:
    try:
        change(store)
    except OSError as error:
        raise PymachineError(f"{error.filename}: {(error.strerror or str(error)).lower()}") from error
