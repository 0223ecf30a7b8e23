"""Other engines that run containers on a host, and when they prevent a set-up. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from pymachine.engine.host_facts import Asked, HostFacts, Neighbour, NeighbourKind
from pymachine.errors import CheckFailed

CONTAINERD = "/run/containerd/containerd.sock"  # the system's; k3s and others bring their own
MOBY = "moby"  # the namespace in which dockerd keeps its containers
ENGINE_UNITS = ("docker.service", "docker.socket", "containerd.service")


class UnitFault(StrEnum):
    """Load states of systemd in which a unit cannot be started."""

    MASKED = "masked"
    BAD_SETTING = "bad-setting"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class _Refusal:
    message: str
    hint: str


def check_engine_kind(facts: HostFacts) -> None:
    """Refuse a host whose containers belong to an engine that the set-up would break. Raises ``CheckFailed``."""
    for neighbour in facts.neighbours:
        if (refusal := _refusal(neighbour, facts)) is not None:
            raise CheckFailed(refusal.message, hint=refusal.hint)


def _refusal(neighbour: Neighbour, facts: HostFacts) -> _Refusal | None:
    engine = facts.engine
    absent, idle = engine is None, engine is None or not engine.active
    if neighbour.kind is NeighbourKind.SHIM:
        return _of_containers(neighbour, absent=absent, idle=idle)
    if not {NeighbourKind.SNAP: True, NeighbourKind.ROOTLESS: absent, NeighbourKind.PODMAN: absent}.get(
        neighbour.kind, idle
    ):
        return None
    what, hint = _IN_WORDS[neighbour.kind]
    return _Refusal(what.format(what=neighbour.what), hint)


_IN_WORDS: Mapping[NeighbourKind, tuple[str, str]] = {
    NeighbourKind.SNAP: (
        "Docker is installed as a snap on the host; its engine cannot be given certificates and a port ({what})",
        "snap remove docker, then try again; images and containers of the snap do not carry over",
    ),
    NeighbourKind.ROOTLESS: (
        "a rootless Docker engine runs on the host ({what}); it belongs to a user and is not adopted",
        "stop it, or install a system-wide engine beside it first",
    ),
    NeighbourKind.LOOSE: (
        "a dockerd runs on the host that its docker service did not start ({what}): it cannot be set up as a service,"
        " and a second engine would fail beside it",
        "stop it, and have a service unit start dockerd if its containers are to stay; then try again",
    ),
    NeighbourKind.PODMAN: (
        "the command docker on the host is Podman's ({what}); the packages of Docker would replace it",
        "remove podman-docker, then try again; Podman itself may stay",
    ),
    NeighbourKind.SOCKET: (
        "the socket of Docker's clients belongs to {what}; an engine would take it from its users",
        "disable what listens there (for Podman: systemctl disable --now podman.socket), then try again",
    ),
}


def _of_containers(neighbour: Neighbour, *, absent: bool, idle: bool) -> _Refusal | None:
    namespace, _, rest = neighbour.what.partition(" ")
    address, _, count = rest.rpartition(" ")
    if namespace == MOBY:
        what = f"{count} container(s) of a Docker engine run on the host while it is down"
        return _Refusal(what, "start it (systemctl start docker), or stop them; then try again") if idle else None
    if not absent or address != CONTAINERD:
        return None
    return _Refusal(
        f"containerd on the host runs {count} container(s) of other programs (namespace {namespace}); Docker's "
        "packages would replace or restart it",
        "use another host, or install an engine yourself beside it and use --engine-install none",
    )


def check_units(facts: HostFacts) -> None:
    """Refuse a host whose systemd does not answer, or would not start the engine. Raises ``CheckFailed``."""
    if facts.units is None:
        raise CheckFailed(
            "systemd on the host could not be asked about its units",
            hint="see what `systemctl show docker.service` says on the host",
        )
    for unit, state in facts.units.items():
        if state in set(UnitFault) and _is_needed(unit, facts):
            raise CheckFailed(_words(unit, state), hint=_way(unit, state))


def _words(unit: str, state: str) -> str:
    if state == UnitFault.MASKED:
        return f"{unit} is masked on the host, so it cannot start"
    return f"systemd on the host cannot load {unit} ({state})"


def _way(unit: str, state: str) -> str:
    if state == UnitFault.MASKED:
        return f"systemctl unmask {unit}, if the engine may run there; then try again"
    return f"see what `systemctl status {unit}` says on the host"


def _is_needed(unit: str, facts: HostFacts) -> bool:
    """Whether the engine cannot start without the unit; an engine that is not installed yet brings all of them."""
    engine = facts.engine
    if engine is None or unit == engine.unit or unit not in ENGINE_UNITS:
        return True
    if unit == "docker.socket":
        return unit in engine.requires or "fd://" in engine.flags.get("host", [])
    if unit == "containerd.service":
        return unit in engine.requires or "containerd" in engine.flags
    return not engine.unit


def check_asked(facts: HostFacts) -> None:
    """Refuse a host whose engine runs but does not say which containers it has. Raises ``CheckFailed``."""
    engine = facts.engine
    if engine is None or engine.asked is not Asked.UNANSWERED:
        return
    where = ", ".join(engine.sockets) or "no socket that was found"
    raise CheckFailed(
        f"the engine on the host runs but does not answer, so its containers are unknown (it listens at {where})",
        hint="`docker ps` must answer on the host, by a unix socket, with curl or the docker client installed there;"
        " `systemctl restart docker` restarts a hung engine",
    )


def beside(neighbours: Iterable[Neighbour]) -> tuple[str, ...]:
    """Return notes on other engines that are left alone."""
    kinds = {NeighbourKind.LOOSE: "another dockerd", NeighbourKind.ROOTLESS: "a rootless Docker engine"}
    return tuple(
        f"{kinds[one.kind]} also runs there and is not changed: {one.what}" for one in neighbours if one.kind in kinds
    )
