"""pymachine as the transcripts run it: with the fake driver and engines, its cloud in a file. Run as a program.

FAKE_FAIL=OPERATION:MESSAGE makes the driver fail; with the operation "crash", in a way that nobody foresaw. What is
imported costs each command of a session, so it is imported where it is used.
"""

from __future__ import annotations

import os
import sys
import threading
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pymachine.cli import main
from pymachine.cli.quick import COMMANDS

if TYPE_CHECKING:
    from pymachine.cli.wiring import Wiring
    from pymachine.driver import Driver
    from pymachine.engine.client import EngineAnswer
    from pymachine.model import Endpoint
    from pymachine.testing.fake_driver import FakeCloud

CERTIFICATES = {"ca.pem": b"authority\n", "cert.pem": b"certificate\n", "key.pem": b"key\n"}

_MAKING = threading.Lock()


def wiring() -> Wiring:
    """Wire the command line to a cloud; other drivers are the installed ones."""
    from pymachine.cli.wiring import Wiring

    def names() -> list[str]:
        from pymachine import registry

        return ["fake", *registry.names()]

    return Wiring(load_driver=_load, driver_names=names, ask_engine=_ask)


def _load(name: str) -> type[Driver]:
    from pymachine import registry

    if _fault()[0] == "crash":
        raise RuntimeError(_fault()[2])
    return _cloud().driver() if name == "fake" else registry.load(name)


def _ask(endpoint: Endpoint, folder: Path | None, *, deadline: float) -> EngineAnswer:
    from pymachine.engine import client
    from pymachine.errors import Unreachable
    from pymachine.model import State

    if State.RUNNING not in _cloud().hosts().values():
        raise Unreachable(f"nothing answers at {endpoint.url}", hint="switch it on")
    if folder is None:
        return client.ask(endpoint, None, deadline=deadline)
    assert (folder / "key.pem").read_bytes() == CERTIFICATES["key.pem"]
    return client.EngineAnswer("26.1.5", "1.45", "1.24", "linux", "amd64", 0.01)


def _fault() -> tuple[str, str, str]:
    return os.environ.get("FAKE_FAIL", "").partition(":")


def _cloud() -> FakeCloud:
    """The one cloud of this process: several threads work on it, and a fault is for one of them."""
    with _MAKING:
        return _made_cloud()


@cache
def _made_cloud() -> FakeCloud:
    from pymachine.errors import DriverError
    from pymachine.testing.fake_driver import FakeCloud

    cloud = FakeCloud(Path(os.environ["FAKE_CLOUD"]), certificates=CERTIFICATES)
    operation, _, message = _fault()
    if operation:
        cloud.fail(operation, DriverError(message, hint="try again later"))
    return cloud


if __name__ == "__main__":
    # The commands that are answered without click get no wiring, as in earnest.
    quick = sys.argv[1:2] and sys.argv[1] in COMMANDS and "--check" not in sys.argv
    sys.exit(main(wiring=None if quick else wiring()))
