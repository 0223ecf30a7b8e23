"""The ports between the nodes of a Swarm, for clouds with a firewall between instances."""

from __future__ import annotations

from pymachine.driver import Interconnects, NodePort
from pymachine.errors import PymachineError
from pymachine.model import Machine
from pymachine.steps.session import Session


def openings(data_path_port: int) -> tuple[NodePort, ...]:
    """Return them: managers, gossip, overlay traffic, and that of encrypted networks (Docker's "Swarm" tutorial)."""
    return (
        NodePort("tcp", 2377),
        NodePort("tcp", 7946),
        NodePort("udp", 7946),
        NodePort("udp", data_path_port),
        NodePort("esp"),
    )


def open_to_neighbours(machine: Machine, data_path_port: int, session: Session) -> None:
    """Have the driver open them if it can; a failure is only reported, because they may already be open."""
    driver = session.driver
    if not isinstance(driver, Interconnects) or machine.handle is None:
        return
    try:
        driver.interconnect(machine.handle, openings(data_path_port))
    except PymachineError as error:
        session.tools.reporter.notice(machine.name, f"the Swarm's ports could not be opened: {error.message}")
