"""Output of a dry run, and the last lines after a create."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pymachine.cli.app import App
from pymachine.cli.output import dump, say
from pymachine.documents import to_document
from pymachine.engine.effects import restarts_engine
from pymachine.model import Machine

if TYPE_CHECKING:
    from pymachine.steps.preview import Preview


def show_plans(previews: Sequence[Preview], *, as_json: bool) -> None:
    """Print the plans of one command, one machine after the other."""
    if as_json:
        dump([_document(preview) for preview in previews])
        return
    for preview in previews:
        _show(preview)


def ready_line(machine: Machine, seconds: float) -> str:
    """Return the line after a create or provision: address, engine, and seconds."""
    parts = [machine.endpoint.url] if machine.endpoint else []
    parts += [f"engine {machine.engine_version}"] if machine.engine_version else []
    return f"{machine.name} is ready: {', '.join([*parts, f'{seconds:.0f} s'])}"


def next_line(app: App, machine: Machine) -> str:
    """Return the line that the user needs next."""
    import shlex

    storage = f"-s {shlex.quote(app.storage)} " if app.storage else ""
    return f'  eval "$({app.program} {storage}env {machine.name})"'


def _show(preview: Preview) -> None:
    if preview.changes:
        say(f"{preview.verb} would do this to {preview.machine.name}:")
    else:
        say(f"{preview.verb} would change nothing on {preview.machine.name}")
    width = max((len(change.what) for change in preview.changes), default=0)
    for change in preview.changes:
        say(f"  {change.what.ljust(width)}   {change.reason}".rstrip())
    for announcement in preview.announcements:
        say(f"  note: {announcement}")
    if preview.drained:
        say("  note: it is a node of a Swarm: it is drained before, and must rejoin after")


def _document(preview: Preview) -> dict[str, object]:
    return {
        "verb": preview.verb,
        "machine": preview.machine.name,
        "changes": to_document(preview.changes),
        "effects": list(preview.effects),
        "restarts_engine": restarts_engine(preview.effects),
        "drained": preview.drained,
        "announcements": list(preview.announcements),
    }
