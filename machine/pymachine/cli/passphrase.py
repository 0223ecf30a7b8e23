"""Passphrases from the terminal or from a file, never from a command line."""

from __future__ import annotations

import click

from pymachine.cli.app import App
from pymachine.cli.inventory_files import secret_of
from pymachine.errors import UsageFault
from pymachine.fleet.inventory import SecretSource
from pymachine.user_path import user_path

INSTEAD = "give it in a file: --passphrase-file FILE"
PASSPHRASE_FILE = click.option("--passphrase-file", metavar="FILE", help="File with the passphrase.")


def new_passphrase(app: App, file: str | None, *, ask: bool) -> str | None:
    """Return the passphrase in the file, or ask for a new one twice; None if neither is requested.

    Raises ``UsageFault``.
    """
    if file is not None:
        return _in_file(app, file)
    if not ask:
        return None
    first = app.asker.secret("new passphrase", instead=INSTEAD)
    if app.asker.secret("same passphrase again", instead=INSTEAD) != first:
        raise UsageFault("the two passphrases differ")
    return first


def known_passphrase(app: App, file: str | None) -> str:
    """Return the passphrase in the file, or ask for it. Raises ``UsageFault``."""
    return _in_file(app, file) if file is not None else app.asker.secret("passphrase of the export", instead=INSTEAD)


def _in_file(app: App, file: str) -> str:
    return secret_of(SecretSource("", path=str(user_path(file).absolute())), app.environ)
