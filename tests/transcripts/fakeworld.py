"""pymachine as the transcripts run it: with the fake drivers and engines, their clouds in files. Run as a program.

Driver "cloud" has the powers of clouds; "fake" has those of virtual machines.
FAKE_FAIL=OPERATION:MESSAGE makes the driver fail; with the operation "crash", in a way that nobody foresaw.
FAKE_COMPOSE=NAME is a variable that Compose misses, "none" a client without Compose.
FAKE_CUT lists addresses of engines that nothing reaches. What is imported costs each command of a session, so it is
imported where it is used.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pymachine.cli import main
from pymachine.cli.quick import answer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from pymachine.cli.dependencies import Wiring
    from pymachine.driver import Driver
    from pymachine.engine.client import EngineAnswer
    from pymachine.fleet.apply.subprocesses import CompletedProgram
    from pymachine.model import Endpoint
    from pymachine.swarm_api.protocol import ClusterEngine
    from pymachine.testing.fake_driver import FakeCloud

CERTIFICATES = {"ca.pem": b"authority\n", "cert.pem": b"certificate\n", "key.pem": b"key\n"}

CLOUDS = ("fake", "cloud")

_MAKING = threading.Lock()


def wiring() -> Wiring:
    """Wire the command line to a cloud; other drivers are the installed ones."""
    from pymachine.cli.dependencies import Wiring

    def names() -> list[str]:
        from pymachine import registry

        return ["fake", *registry.names()]

    return Wiring(load_driver=_load, driver_names=names, ask_engine=_ask, connect_cluster=_join_in, run=_run)


def _run(words: Sequence[str], environ: Mapping[str, str], **how: Any) -> CompletedProgram:
    """Answer as Compose does that has no service to tell of, and warns of the variable FAKE_COMPOSE; run the rest."""
    from pymachine.fleet.apply.subprocesses import CompletedProgram, run_program

    if list(words[:2]) != ["docker", "compose"]:
        return run_program(words, environ, **how)
    state = os.environ.get("FAKE_COMPOSE", "")
    if state == "none":
        return CompletedProgram(1, ("docker: unknown command: docker compose",))
    if "version" in words:
        return CompletedProgram(0, output=b"2.38.2")
    if "--variables" in words:
        variable = {"Name": state, "DefaultValue": "", "PresenceValue": "", "Required": False}
        return CompletedProgram(0, (), json.dumps({state: variable}).encode())
    given = [Path(words[place + 1]) for place, word in enumerate(words) if word == "--env-file"]
    has_value = {"-", "--no-interpolate"} & set(words) or any(
        f"{state}=" in path.read_text() for path in given if path.is_file()
    )
    return CompletedProgram(0, ("a warning",) if state and not has_value else (), b'{"services": {}}')


def _load(name: str) -> type[Driver]:
    from pymachine import registry

    if _fault()[0] == "crash":
        raise RuntimeError(_fault()[2])
    return _cloud(name).driver() if name in CLOUDS else registry.load(name)


def _ask(endpoint: Endpoint, folder: Path | None, *, deadline: float) -> EngineAnswer:
    from pymachine.engine import client
    from pymachine.errors import Unreachable
    from pymachine.model import State

    if all(State.RUNNING not in _cloud(name).hosts().values() for name in CLOUDS):
        raise Unreachable(f"nothing answers at {endpoint.url}", hint="switch it on")
    if folder is None:
        return client.ask(endpoint, None, deadline=deadline)
    assert (folder / "key.pem").read_bytes() == CERTIFICATES["key.pem"]
    return client.EngineAnswer("26.1.5", "1.45", "1.24", "linux", "amd64", 0.01)


def _join_in(endpoint: Endpoint, folder: Path | None, *, deadline: float) -> ClusterEngine:
    """Connect to an engine that forms Swarms; nothing reaches those in FAKE_CUT."""
    from pymachine.testing.fake_cluster import FakeClusters

    assert folder is not None
    clusters = FakeClusters(Path(os.environ["FAKE_CLOUD"]).with_suffix(".swarms"))
    cut = os.environ.get("FAKE_CUT", "").split()
    for address in {endpoint.host, *clusters.addresses()}:
        with clusters.host(address) as host:
            host.cut = address in cut
    return clusters.connect(endpoint, folder, deadline=deadline)


def _fault() -> tuple[str, str, str]:
    return os.environ.get("FAKE_FAIL", "").partition(":")


def _cloud(name: str) -> FakeCloud:
    """The one cloud of that name in this process: several threads work on it, and a fault is for one of them."""
    with _MAKING:
        return _made_cloud(name)


@cache
def _made_cloud(name: str) -> FakeCloud:
    from pymachine.errors import DriverError

    cloud = _empty_cloud(name)
    operation, _, message = _fault()
    if operation:
        cloud.fail(operation, DriverError(message, hint="try again later"))
    return cloud


def _empty_cloud(name: str) -> FakeCloud:
    from pymachine.testing.fake_driver import FakeCloud
    from pymachine.testing.mobile_cloud import MobileCloud

    file = Path(os.environ["FAKE_CLOUD"])
    if name == "fake":
        return FakeCloud(file, certificates=CERTIFICATES)
    return MobileCloud(file.with_suffix(".moving"), with_ssh=False, certificates=CERTIFICATES)


if __name__ == "__main__":
    # The commands that are answered without click get no wiring, as in earnest; but for status, which would ask the
    # real network for an engine of ours.
    quick = None
    if sys.argv[1:2] == ["docker-machine"]:  # what the program of that name passes is its own path
        from pymachine.cli import compat

        sys.exit(compat.main(sys.argv[2:], wiring=wiring()))
    with suppress(Exception):
        quick = None if "status" in sys.argv else answer(sys.argv[1:], os.environ)
    sys.exit(main(wiring=wiring() if quick is None else None))
