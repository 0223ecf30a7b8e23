"""One run of the command line: its global options, and the parts that are made when a command first needs them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, cast

from pymachine.cli.deferred import DeferredReporter
from pymachine.cli.dependencies import Wiring
from pymachine.cli.record_changes import RecordChanges
from pymachine.override import override

if TYPE_CHECKING:
    from pathlib import Path

    from pymachine.cli.survey_line import SurveyLine
    from pymachine.docker_machine.runner_view import RunnerView
    from pymachine.errors import PymachineError
    from pymachine.events import Asker, Reporter
    from pymachine.model import SshAddress
    from pymachine.steps.services import AskEngine, Connect, Services
    from pymachine.store import Store
    from pymachine.store.sqlite import SqliteStore
    from pymachine.transport import Transport


class App:
    """What the commands share.

    ``storage`` None means the place that the environment names. ``program`` is the name that hints call, and
    ``go_flags`` accepts a single dash before long flags.
    """

    program = "pymachine"
    go_flags = False

    def __init__(self, wiring: Wiring) -> None:
        self.wiring = wiring
        self.storage: str | None = None
        self.progress = "auto"
        self.debug = False
        self.force_unlock = False
        self.as_json = False
        self.changes = RecordChanges()
        self.view: RunnerView | None = None
        self._opened: SqliteStore | None = None

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment of this process."""
        return os.environ

    @cached_property
    def folder(self) -> Path:
        """The folder of the store, whether it exists or not."""
        from pathlib import Path

        from pymachine.store.location import default_location

        return Path(os.path.abspath(self.storage) if self.storage else default_location(self.environ))  # noqa: PTH100

    @cached_property
    def store(self) -> Store:
        """The store, opened and made if need be."""
        from pymachine.store.sqlite import SqliteStore

        self._opened = SqliteStore.open(self.folder)
        self._opened.observe(self.changes)
        self.watch(self._opened)
        return self._opened

    def watch(self, store: SqliteStore) -> None:
        """Keep the view of docker-machine's callers up to date, if the store has one."""
        from pymachine.docker_machine import VIEW_NOTE

        if store.noted(VIEW_NOTE):
            from pymachine.docker_machine.runner_view import RunnerView

            self.view = RunnerView(store)
            store.observe(self.view)

    @cached_property
    def reporter(self) -> Reporter:
        """The reporter of each step: the wiring's, else as --progress says."""
        if self.wiring.reporter is not None:
            return self.wiring.reporter
        return cast("Reporter", DeferredReporter(self._chosen_reporter, self.survey_line))

    def survey_line(self) -> SurveyLine:
        """Return the line of looks: of a terminal, and not beside JSON."""
        from pymachine.cli.survey_line import SurveyLine, has_room

        return SurveyLine(sys.stderr, shown=not self.as_json and has_room(sys.stderr, self.environ, self.progress))

    def _chosen_reporter(self) -> Reporter:
        from pymachine.cli.progress import choose_reporter

        return choose_reporter(self.progress, sys.stderr, self.environ)

    @cached_property
    def asker(self) -> Asker:
        """Who asks the person: the wiring's, else the terminal."""
        if self.wiring.asker is not None:
            return self.wiring.asker
        from pymachine.cli.prompt import TerminalAsker

        return TerminalAsker(self.reporter)

    @cached_property
    def tools(self) -> Services:
        """The outside world of the verbs."""
        from pymachine.steps.services import Services
        from pymachine.swarm_api import connect

        return Services(
            store=self.store,
            reporter=self.reporter,
            asker=self.asker,
            connect=self.wiring.connect or _connector(),
            load_driver=self.wiring.load_driver,
            ask_engine=self.ask_engine,
            now=self.wiring.now,
            clock=self.wiring.clock,
            connect_cluster=self.wiring.connect_cluster or connect,
        )

    @cached_property
    def ask_engine(self) -> AskEngine:
        """How engines are asked for their version."""
        if self.wiring.ask_engine is not None:
            return self.wiring.ask_engine
        from pymachine.engine.client import ask

        return ask

    def message(self, error: PymachineError) -> str | None:
        """Return the whole line for an error where another program's callers expect one; None for pymachine's own."""
        return None

    def exit_code(self, error: PymachineError) -> int:
        """Return the code that the program ends with after this error."""
        return error.exit_code

    def start_words(self) -> list[str]:
        """Return the words that start this program again."""
        from pymachine.cli.client_env import program

        return program(self.environ, sys.argv[0], sys.executable)

    def log_to_stderr(self) -> None:
        """Show what the library logs, which never holds a secret."""
        import logging

        from pymachine.cli.output import on_stderr

        class _Printable(logging.Formatter):
            @override
            def format(self, record: logging.LogRecord) -> str:
                return on_stderr(super().format(record))

        self.debug = True
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(_Printable("debug: %(message)s"))
        logger = logging.getLogger("pymachine")
        logger.setLevel(logging.DEBUG)
        logger.handlers = [handler]

    def settle(self) -> None:
        """Leave the terminal as it was, so that a last word can be printed."""
        close = getattr(self.__dict__.get("reporter"), "close", None)
        if close is not None:
            close()

    def close(self) -> None:
        """Give everything back."""
        self.settle()
        if self._opened is not None:
            self._opened.close()


def _connector() -> Connect:
    """Return a ``Connect`` that loads paramiko at its first call and asks for each passphrase once."""
    rings: list[object] = []

    def connect(
        address: SshAddress,
        *,
        asker: Asker,
        notice: Callable[[str], None],
        deadline: float,
        retry_for: float = 0.0,
    ) -> Transport:
        from pymachine.transport import ssh

        rings.extend([] if rings else [ssh.KeyRing()])
        ring = rings[0]
        assert isinstance(ring, ssh.KeyRing)
        return ssh.connect(address, asker=asker, notice=notice, deadline=deadline, retry_for=retry_for, keys=ring)

    return connect
