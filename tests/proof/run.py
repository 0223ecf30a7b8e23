"""A run: its stages one after another or side by side, timed and counted."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from proof.budget import Budget, Spent, sum_of, table
from proof.stages import NOTHING_COLLECTED, ROOT, SUDO, Stage, lab
from proof.tally import counted, guests

ENDING = 120.0  # seconds for a stage to end its hosts


class Failed(Exception):
    """A stage ended with another code than it should."""


def _end(process: subprocess.Popen[bytes], tell: Callable[[int, int], None] | None) -> None:
    """End a stage as Ctrl-C does, so that its hosts go with it; nothing to ``tell``: a terminal has done that."""
    if tell and process.poll() is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            tell(process.pid, signal.SIGINT)
    try:
        process.wait(ENDING)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(5)


@dataclass
class Background:
    """A stage that runs beside others, with what it prints kept until it is waited for."""

    stage: Stage
    process: subprocess.Popen[bytes]
    output: IO[bytes]
    began: float


@dataclass
class Run:
    """What a run has done so far. ``folder`` is gone at its end.

    The first stage that fails ends the run; one that ``goes_on`` adds each that fails to ``failed``.
    """

    began: float
    folder: Path
    goes_on: bool = False
    failed: list[Stage] = field(default_factory=list)
    spent: list[Spent] = field(default_factory=list)
    beside: list[Background] = field(default_factory=list)

    @classmethod
    def begin(cls, began: float) -> Run:
        """Make the folder that all processes of the run share. ``began`` is a Unix time."""
        folder = Path(tempfile.mkdtemp(prefix="pymachine-run-"))
        folder.chmod(0o755)
        for name in ("counts", "cache"):
            (folder / name).mkdir()
        return cls(began, folder)

    def close(self) -> None:
        """End what still runs, and remove the folder."""
        for one in self.beside:
            _end(one.process, os.killpg)
            one.output.close()
        subprocess.run([*SUDO, "rm", "-rf", "--one-file-system", self.folder], check=False, timeout=120)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _env(self, stage: Stage) -> dict[str, str]:
        # Without bytecode each process would compile every module of the tests and the product for itself.
        kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        return {**kept, "PYMACHINE_RUN": str(self.folder), "PYMACHINE_STAGE": stage.slug}

    def run(self, stage: Stage) -> None:
        """Run a stage to its end, or begin one that runs beside the next. Raises ``Failed``."""
        self.join(until=stage.name)
        print(f"== {stage.name}" + (f", beside what comes before {stage.until}" if stage.until else ""), flush=True)
        if stage.until:
            self._begin(stage)
            return
        began, now = time.monotonic(), datetime.now(UTC)
        try:
            code = self._foreground(stage)
        finally:
            self._note(stage, time.monotonic() - began, now)
        self._judge(stage, code)

    def _judge(self, stage: Stage, code: int) -> None:
        if code in (0, NOTHING_COLLECTED if stage.tier != "base" else 0):
            return
        if not self.goes_on:
            raise Failed(f"{stage.name} failed with {code}")
        self.failed.append(stage)

    def _foreground(self, stage: Stage) -> int:
        if stage.libvirt:
            self._give(stage, lab("libvirt", "up"))
        try:
            for command in stage.commands:
                if code := self._give(stage, command):
                    return code
        finally:
            if stage.libvirt:
                self._give(stage, lab("libvirt", "down"))
        return 0

    def _give(self, stage: Stage, command: tuple[str, ...]) -> int:
        words = [*(SUDO if stage.root else ()), *command]
        process = subprocess.Popen(words, cwd=ROOT, env=self._env(stage), stdin=subprocess.DEVNULL)
        try:
            return process.wait()
        except BaseException as error:
            _end(process, None if isinstance(error, KeyboardInterrupt) else os.kill)
            raise

    def _note(self, stage: Stage, seconds: float, began: datetime | None = None, waited: float | None = None) -> None:
        counts = counted(self.folder, stage.slug)
        if began and stage.libvirt:
            counts += guests(began)
        self.spent.append(Spent(stage.name, stage.tier, seconds, counts, waited is not None, waited or 0.0))

    def _begin(self, stage: Stage) -> None:
        (command,) = stage.commands
        output = (self.folder / f"{stage.name}.log").open("w+b")
        words = [*(SUDO if stage.root else ()), *command]
        # A session of its own: what it has started is ended with it, and a terminal's Ctrl-C comes to it once.
        process = subprocess.Popen(
            words, cwd=ROOT, env=self._env(stage), stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        self.beside.append(Background(stage, process, output, time.monotonic()))

    def join(self, until: str = "") -> None:
        """Wait for the stages that were to end before one, or for all. Raises ``Failed``."""
        for one in [one for one in self.beside if until in (one.stage.until, "")]:
            waited = time.monotonic()
            code = one.process.wait()
            self.beside.remove(one)
            waited = time.monotonic() - waited
            one.output.seek(0)
            print(f"== {one.stage.name}, which ran beside the others; waited {waited:.0f} s for its end", flush=True)
            print(one.output.read().decode(errors="replace"), end="", flush=True)
            one.output.close()
            self._note(one.stage, time.monotonic() - one.began, waited=waited)
            self._judge(one.stage, code)

    def told(self, budget: Budget) -> list[str]:
        """Show what the run took, and return what is above its budget."""
        total = time.time() - self.began
        print(f"\n{table(self.spent, budget, total)}", flush=True)
        return [line for tier in budget.tiers for line in budget.excess(tier, sum_of(self.spent, tier))]
