"""A program that starts warm: ``python -m transcripts.forkserver SOCKET MODULE`` runs MODULE in a fork a command.

All of the product is loaded once. A shell starts ``transcripts.forkclient`` in place of ``python -m MODULE``: it
hands over its words, variables, folder, umask and open files, passes signals on, and ends as the fork ended. Where a
running interpreter cannot take over what a new one would (variables that Python reads as it starts, other limits,
ignored signals), the client starts a new one. A fork differs in its parent and its session, and its modules are not
taken apart at its end.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import io
import os
import pkgutil
import runpy
import selectors
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from transcripts.forkclient import COLD, LARGEST, ground, unpacked

PACKAGES = ("pymachine", "pymachine_ssh", "pymachine_none", "pymachine_kvm", "pymachine_aws", "pymachine_templates")


def load() -> None:
    """Import every module of the product; what is optional and not installed stays away."""
    for name in PACKAGES:
        package = importlib.import_module(name)
        for found in pkgutil.walk_packages(package.__path__, f"{name}."):
            if not found.name.endswith("__main__"):
                with contextlib.suppress(ImportError):
                    importlib.import_module(found.name)


@dataclass
class Running:
    """A fork at work, and the client that waits for it."""

    client: socket.socket
    pid: int
    pidfd: int

    def forward(self) -> bool:
        """Pass on what the client was sent; a client that is gone takes its fork along. False when it is gone."""
        told = self.client.recv(LARGEST)
        os.kill(self.pid, int(told) if told else signal.SIGKILL)
        return bool(told)

    def end(self) -> None:
        """Tell the client how the fork ended."""
        _, status = os.waitpid(self.pid, 0)
        with contextlib.suppress(OSError):
            self.client.send(b"%d" % os.waitstatus_to_exitcode(status))
        self.close()

    def close(self) -> None:
        """Let go of what the server holds."""
        os.close(self.pidfd)
        self.client.close()


class Server:
    """Forks for each client, until its standard input ends."""

    def __init__(self, path: str) -> None:
        self._ground = ground()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(path)
        self._listener.listen(64)
        self._looking = selectors.DefaultSelector()
        self._looking.register(self._listener, selectors.EVENT_READ)
        self._looking.register(sys.stdin, selectors.EVENT_READ)
        self._running: dict[int, Running] = {}

    def words(self) -> list[str]:
        """Serve. Returns in each fork, with the words of its command; ``SystemExit`` when standard input ended."""
        while True:
            for key, _ in self._looking.select():
                if key.fileobj is sys.stdin:
                    self._end()
                elif key.fileobj is self._listener:
                    if (words := self._accept()) is not None:
                        return words
                elif running := self._running.get(key.data):
                    self._look(running, ended=key.fd == running.pidfd)

    def _look(self, running: Running, *, ended: bool) -> None:
        if ended:
            del self._running[running.pid]
            self._looking.unregister(running.pidfd)
            with contextlib.suppress(KeyError):
                self._looking.unregister(running.client)
            running.end()
        elif not running.forward():
            self._looking.unregister(running.client)

    def _accept(self) -> list[str] | None:
        client, _ = self._listener.accept()
        given, files, _, _ = socket.recv_fds(client, LARGEST, 8)
        if not given:  # it was ended before it asked for anything
            client.close()
            return None
        place, umask, words, variables = unpacked(given)
        if place != self._ground:
            print("refused", *words, flush=True)
            client.send(COLD)
            client.close()
        elif (pid := os.fork()) == 0:
            client.close()
            self._leave()
            _become(files, umask, variables)
            return words
        else:
            self._watch(Running(client, pid, os.pidfd_open(pid)))
        for file in files:
            os.close(file)
        return None

    def _watch(self, running: Running) -> None:
        self._running[running.pid] = running
        for source in (running.client, running.pidfd):
            self._looking.register(source, selectors.EVENT_READ, running.pid)

    def _leave(self) -> None:
        """Close what is the server's, in the fork."""
        self._looking.close()
        self._listener.close()
        for running in self._running.values():
            running.close()

    def _end(self) -> None:
        for running in self._running.values():
            os.kill(running.pid, signal.SIGKILL)
        sys.exit()


def _become(files: Sequence[int], umask: int, variables: dict[bytes, bytes]) -> None:
    """Take the client's place: its files, folder, umask and variables, with streams as Python opens them."""
    os.setsid()
    os.fchdir(files[0])
    for number, file in enumerate(files[1:]):
        os.dup2(file, number)
    for file in files:
        os.close(file)
    os.umask(umask)
    os.environb.clear()
    os.environb.update(variables)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream = _stream(number, getattr(sys, name))
        vars(sys).update({name: stream, f"__{name}__": stream})


def _stream(number: int, like: TextIO) -> TextIO:
    """Open a standard stream as the interpreter does when it starts (create_stdio in CPython's pylifecycle.c)."""
    by_line = number == 2 or os.isatty(number)
    raw = io.FileIO(number, "wb" if number else "rb", closefd=False)
    buffer = io.BufferedWriter(raw) if number else io.BufferedReader(raw)
    raw.name = ("<stdin>", "<stdout>", "<stderr>")[number]
    stream = io.TextIOWrapper(buffer, like.encoding, like.errors, "\n", line_buffering=by_line)
    vars(stream).update(mode="w" if number else "r")
    return stream


def main(path: str, module: str) -> None:
    """Serve; in a fork, run the module as ``python -m`` does, to the end of the process."""
    load()
    server = Server(path)
    gc.collect()
    gc.freeze()
    print("ready", flush=True)
    sys.argv[1:] = server.words()
    sys.path[0] = str(Path.cwd())
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        if ended.code is None or isinstance(ended.code, int):
            _end((ended.code or 0) & 0xFF)
        raise


def _end(code: int) -> None:
    """End as the interpreter does (Py_FinalizeEx), but for taking modules apart: it copies all memory.

    It took four times as long as the command. Returns where something cannot be written, for the interpreter to tell.
    """
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main(*sys.argv[1:])
