"""A set-up that is killed on its host after the Nth command that changes something there; a watch on the port."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from lab import Host

PORT = 2376
FOLDER = "/root/cut"
# What the scripts of the set-up change a host with. They look in /usr/local/sbin first.
COMMANDS = (
    "mv", "rm", "cp", "ln", "mkdir", "rmdir", "chmod", "sync", "systemctl", "hostname", "usermod", "apt-get",
    "systemd-run",
)  # fmt: skip
# Runs the command itself; where a script of the set-up called it, counts it, and kills the scripts if it is its turn.
WRAPPER = f"""#!/bin/sh
name=${{0##*/}}
real=/usr/bin/$name
[ -x "$real" ] || real=/usr/sbin/$name
"$real" "$@"
code=$?
case $(tr '\\0' ' ' </proc/$PPID/cmdline) in
    */setup.sh* | */rollback.sh* | */remove.sh*) ;;
    *) exit "$code" ;;
esac
turn=$(($(cat {FOLDER}/count) + 1))
echo "$turn" >{FOLDER}/count
echo "$turn $name $*" >>{FOLDER}/log
[ "$turn" != "$(cat {FOLDER}/at)" ] ||
    pkill -9 -f '/run/pymachine/.*/(setup|remove|run)[.]sh|/var/lib/pymachine/rollback[.]sh'
exit "$code"
"""
REQUEST = b"GET /_ping HTTP/1.0\r\n\r\n"


def arm(host: Host, at: int) -> None:
    """Have the scripts killed after command number ``at``, counted from now on; 0 only counts."""
    host.exec(f"mkdir -p {FOLDER}; echo 0 >{FOLDER}/count; echo {at} >{FOLDER}/at; : >{FOLDER}/log")
    host.exec(f"cat >{FOLDER}/wrapper; chmod 755 {FOLDER}/wrapper", input=WRAPPER)
    host.exec(f"cd /usr/local/sbin; for name in {' '.join(COMMANDS)}; do ln -sf {FOLDER}/wrapper $name; done")


def disarm(host: Host) -> int:
    """Take that away; return how many commands there were."""
    count = int(host.exec(f"cat {FOLDER}/count").stdout)
    host.exec(f"cd /usr/local/sbin; rm -f {' '.join(COMMANDS)}")
    return count


class Watch:
    """Asks a host's engine port in plain HTTP, without a pause. ``opened`` are the answers that let it in."""

    def __init__(self, address: str) -> None:
        self.asked = self.heard = self.opened = 0
        self._address = address
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._go_on, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _go_on(self) -> None:
        while not self._ended.wait(0.01):
            self.asked += 1
            for answer in self._answer():
                self.heard += 1
                self.opened += answer.startswith((b"HTTP/1.0 200", b"HTTP/1.1 200"))

    def _answer(self) -> Iterator[bytes]:
        with contextlib.suppress(OSError), socket.create_connection((self._address, PORT), timeout=1) as link:
            link.settimeout(2)
            link.sendall(REQUEST)
            if answer := link.recv(64):
                yield answer
