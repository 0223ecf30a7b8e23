"""The step that opens the connection to the host."""

from __future__ import annotations

from dataclasses import replace

from pymachine.clock import growing
from pymachine.errors import AuthFailed
from pymachine.model import Endpoint, Machine, Phase
from pymachine.steps.session import Session, advanced
from pymachine.store.client_files import LOGIN_KEY
from pymachine.transport import Transport

BOOT_PATIENCE = 300.0  # a fresh server answers SSH within minutes or never
ADMISSION_PATIENCE = 120.0
FIRST_PAUSE, LAST_PAUSE = 2.0, 20.0


class Reach:
    """Open the connection and pin the host's key."""

    title = "connecting over SSH"

    def __init__(self, patience: float | None = None) -> None:
        self._patience = patience

    def needs(self, machine: Machine) -> bool:
        """Every machine that has a host."""
        return machine.ssh is not None

    def run(self, machine: Machine, session: Session) -> Machine:
        """Connect; a host that pymachine just made may take its time to boot, unless it is said how much."""
        usual = 0.0 if session.driver.preexisting else BOOT_PATIENCE
        patience = usual if self._patience is None else self._patience
        assert machine.ssh is not None
        may_boot = machine.ssh.key_path == LOGIN_KEY or bool(self._patience)
        seen = _admitted(machine, session, patience, ADMISSION_PATIENCE if may_boot else 0.0).address
        endpoint = machine.endpoint or Endpoint(seen.host, machine.engine.port)
        reached = machine.with_(ssh=replace(machine.ssh, host_key=seen.host_key), endpoint=endpoint)
        return advanced(reached, Phase.REACHABLE)


def _admitted(machine: Machine, session: Session, patience: float, admission: float) -> Transport:
    """Return the connection; a host that answers may turn us away for ``admission`` seconds more.

    While it boots, pam_nologin admits nobody but root, and a socket-activated sshd is there before cloud-init has put
    our key in its place. Later tries are rarer, because sshd locks out clients that fail often (PerSourcePenalties).
    """
    try:
        return session.transport(machine, retry_for=patience)
    except AuthFailed as error:
        failure = error
    for passed in session.tools.clock.ticks(admission, growing(FIRST_PAUSE, 2.0, LAST_PAUSE)):
        if passed:
            try:
                return session.transport(machine, retry_for=patience)
            except AuthFailed as error:
                failure = error
    raise failure
