"""The end of a command: its exit code and its error message. This is the only place that catches all exceptions."""

from __future__ import annotations

import errno
import os
import re
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from pymachine import __version__
from pymachine.cli.app import App
from pymachine.cli.outlets import fault, outlets
from pymachine.cli.output import on_stderr
from pymachine.cli.signals import stoppable
from pymachine.errors import Interrupted, PymachineError, SeveralFailed, UsageFault, ValueFault
from pymachine.printable import printable
from pymachine.redaction import hidden_password
from pymachine.store.folder import make_private

if TYPE_CHECKING:
    from pathlib import Path

USAGE = 2
INTERRUPTED = 130
BROKEN_PIPE = 128 + signal.SIGPIPE
_RESULTS = (0, 6)  # done, and a plan or drift with something in it

_KEY = re.compile(r"-----BEGIN .*?(-----END [^-]*-----|\Z)", re.DOTALL)


def conclude(app: App, action: Callable[[], int]) -> int:
    """Run a command and return its exit code; whatever it raises is printed to standard error.

    If the reader of a stream goes away, the work continues and its result determines the exit code. A successful
    command whose results were not read has the code of a broken pipe.
    """
    with stoppable(), outlets():
        code = _concluded(app, action)
        lost = fault()
        return unwritable(lost) if lost is not None and code in _RESULTS else code


def _concluded(app: App, action: Callable[[], int]) -> int:
    code = 1
    try:
        code = _tried(app, action)
    except KeyboardInterrupt:
        app.settle()
        return _tell(Interrupted("interrupted", hint="`pymachine ls` shows what is on record"), app)
    finally:
        with suppress(PymachineError):
            follow_changes(app, failed=code not in _RESULTS)
        with suppress(PymachineError):
            app.close()
    return code


def follow_changes(app: App, *, failed: bool = False) -> None:
    """Bring up to date what follows the machines that the command has changed; what fails is a warning.

    After a failure, which may be due to it, the view for docker-machine's callers is looked through as well.
    """
    if app.view is not None and (app.changes or failed):
        app.view.refresh()
        for reason in dict.fromkeys(app.view.faults):
            _line("warning", reason)
    if app.changes:
        from pymachine.cli.contexts import follow

        app.settle()
        follow(app)


def unwritable(error: OSError) -> int:
    """Report that standard output could not be written, unless its reader went away."""
    # The interpreter flushes once more at its end, and would complain itself.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if isinstance(error, BrokenPipeError):
        return BROKEN_PIPE
    print(f"error: standard output cannot be written: {(error.strerror or str(error)).lower()}", file=sys.stderr)  # noqa: T201
    return 1


def _tried(app: App, action: Callable[[], int]) -> int:
    try:
        code = action()
        app.settle()
        return _flushed(code)
    except click.ClickException as error:
        return _tell(usage_fault(error), app)
    except PymachineError as error:
        app.settle()
        return _tell(error, app)
    except OSError as error:
        app.settle()
        return unwritable(error) if _is_of_output(error) else _crashed(error, app)
    except Exception as error:  # noqa: BLE001 - the last line of defence: a bug, kept for its report
        app.settle()
        return _crashed(error, app)


def _is_of_output(error: OSError) -> bool:
    """Distinguish a failed print from errors on files, which have names and are translated where they happen."""
    return error.filename is None and error.errno in (errno.EPIPE, errno.ENOSPC, errno.EIO, errno.EBADF)


def _flushed(code: int) -> int:
    try:
        sys.stdout.flush()
    except OSError as error:
        return unwritable(error)
    return code


def usage_fault(error: click.ClickException) -> UsageFault:
    """Translate click's error: what is wrong, and the closest valid word."""
    ctx = getattr(error, "ctx", None)
    command = ctx.command_path if ctx else "pymachine"
    if isinstance(error, click.NoSuchOption):
        params = ctx.command.get_params(ctx) if ctx else []
        known = [flag for param in params if not getattr(param, "hidden", False) for flag in param.opts]
        return UsageFault(
            f"{command} has no option {error.option_name}", hint=_near(error.option_name, known, command)
        )
    return UsageFault(
        _subject(error) + _decapitalised(error.message.rstrip(".")), hint=f"`{command} --help` shows its options"
    )


def _subject(error: click.ClickException) -> str:
    """Return the option or argument of click's error."""
    param = getattr(error, "param", None)
    if param is None:
        return ""
    return f"{param.opts[0] if isinstance(param, click.Option) else param.human_readable_name}: "


def _decapitalised(text: str) -> str:
    return text[:1].lower() + text[1:]


def _near(word: str, known: list[str], command: str) -> str:
    import difflib

    near = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {near[0]}?" if near else f"`{command} --help` shows its options"


def _tell(error: PymachineError, app: App) -> int:
    if app.debug:
        _traced(error)
    failures = error.failures if isinstance(error, SeveralFailed) else {"": error}
    for name, failure in failures.items():
        expected = app.message(failure)
        message = _worded(failure) if expected is None else expected
        _line("error" if expected is None else "", f"{name}: {message}" if name and expected is None else message)
        if failure.hint:
            _line("hint", failure.hint)
    return app.exit_code(error)


def _worded(error: PymachineError) -> str:
    """Return an error's message; one about an option of the engine names its flag."""
    if not isinstance(error, ValueFault):
        return error.message
    from pymachine.cli.engine_options import as_flag

    return as_flag(error)


def _traced(error: Exception) -> None:
    """Print a traceback for --debug; its messages may contain text from elsewhere."""
    import traceback

    click.echo(printable(_masked("".join(traceback.format_exception(error)))), err=True, nl=False)


def _line(kind: str, text: str) -> None:
    with suppress(OSError):
        label = click.style(kind, fg="red" if kind == "error" else "cyan") + ": " if kind else ""
        click.echo(f"{label}{on_stderr(text)}", err=True, color=_color())


def _color() -> bool | None:
    return False if os.environ.get("NO_COLOR") else None


def _crashed(error: Exception, app: App) -> int:
    if app.debug:
        _traced(error)
    where = _written(error, app)
    _line("error", f"this is a bug in pymachine: {type(error).__name__}: {_masked(str(error))[:300]}")
    _line("hint", f"please report it with {where}" if where else "please report it; --debug shows where it happened")
    return 1


def _written(error: Exception, app: App) -> Path | None:
    """Write the traceback to the store's folder, without the command line, because options can be secrets."""
    import traceback
    from datetime import UTC, datetime

    try:
        folder = app.folder / "crashes"
        make_private(folder)
        now = datetime.now(UTC)
        path = folder / f"{now:%Y%m%dT%H%M%S}-{os.getpid()}.log"
        lines = [f"pymachine {__version__}, Python {sys.version.split()[0]}, {now:%Y-%m-%dT%H:%M:%SZ}\n"]
        lines += traceback.format_exception(error)
        descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", errors="backslashreplace") as file:
            file.write(printable(_masked("".join(lines))))
    except (OSError, PymachineError):
        return None
    return path


def _masked(text: str) -> str:
    return hidden_password(_KEY.sub("(a key or certificate)", text))
