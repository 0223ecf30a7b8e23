"""Which authorities' clients an engine accepts, and how another list of them gets to a host. Pure.

The list is the file that dockerd calls ``tlscacert``; it reads it at its start. An authority of another store is
appended between two comment lines, which every reader of PEM files passes over.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pymachine.engine.bundle import Bundle, make_bundle
from pymachine.engine.daemon_config import parse_config
from pymachine.engine.effects import Aspect, Change, Effect
from pymachine.engine.host_facts import EngineFacts, HostFacts
from pymachine.engine.live_restore import decide, fate_of_containers, stops_containers, switched_on
from pymachine.engine.manifest import Manifest, manifest_of
from pymachine.engine.neighbours import check_asked, check_units
from pymachine.engine.obstacles import MACHINE_DROP_IN, check_replaceable
from pymachine.errors import CheckFailed
from pymachine.templates import render

SIZE_LIMIT = 64 << 10  # bytes of a list
_PORT = re.compile(r"tcp://.*:([0-9]{1,5})$")
_CREATE = "`pymachine create -d ssh` sets up any host that you can log in to"


@dataclass(frozen=True, slots=True)
class TrustPlan:
    """The values for the script. ``owner`` is the id of the machine on the host's manifest, empty without one.

    ``found_digest`` is that of the list as it was found, ``final`` what it will be. ``before`` is daemon.json with
    live-restore enabled, for the restart alone; None if that is not needed.
    """

    path: str
    port: int
    owner: str
    found_digest: str
    final: bytes
    title: str
    config_path: str
    before: bytes | None
    changes: tuple[Change, ...]
    announcements: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EngineAccess:
    """Where an engine that asks for client certificates listens, and the list of authorities that it accepts.

    ``manifest`` is that of a set-up of pymachine, None for one of docker-machine. ``certificate`` is the file of the
    engine's own certificate, empty if it is not known.
    """

    path: str
    port: int
    manifest: Manifest | None
    certificate: str = ""


def access_of(facts: HostFacts) -> EngineAccess:
    """Return how clients reach the engine of a host that pymachine or docker-machine set up.

    Raises ``CheckFailed`` for any other host, and for one whose engine does not run, does not answer, or does not ask
    for client certificates.
    """
    engine, manifest = facts.engine, manifest_of(facts)
    check_units(facts)
    check_asked(facts)
    if facts.manifest is not None and manifest is None:
        raise CheckFailed(
            "the manifest of the host's set-up cannot be read", hint="see /var/lib/pymachine on the host"
        )
    if engine is None or not engine.active:
        raise CheckFailed("the host has no engine that runs", hint=_CREATE)
    if manifest is None and not any(path.endswith(f"/{MACHINE_DROP_IN}") for path in engine.drop_ins):
        raise CheckFailed("the host was set up neither by pymachine nor by docker-machine", hint=_CREATE)
    config = parse_config(facts.daemon_json or b"", facts.daemon_json_path)
    path = _value(engine, config, "tlscacert")
    if _value(engine, config, "tlsverify") != "true" or not path.startswith("/"):
        raise CheckFailed(
            "the engine on the host does not ask for client certificates",
            hint="run `pymachine provision` where the machine was created",
        )
    certificate = _value(engine, config, "tlscert")
    return EngineAccess(path, _port(engine, config, facts, manifest), manifest, certificate)


def _value(engine: EngineFacts, config: Mapping[str, Any], key: str) -> str:
    """Return a setting of the running engine: of its command line, else of its file; dockerd does not take both."""
    if key in engine.flags:
        return engine.flags[key][-1]
    found = config.get(key, "")
    return str(found).lower() if isinstance(found, bool) else str(found)


def _port(engine: EngineFacts, config: Mapping[str, Any], facts: HostFacts, manifest: Manifest | None) -> int:
    given = [*engine.flags.get("host", []), *map(str, config.get("hosts") or [])]
    ports = [int(match[1]) for host in given if (match := _PORT.match(host))]
    open_ports = [port for port in ports if port in facts.listening]
    if manifest is not None and manifest.port in open_ports:
        return manifest.port
    if not open_ports:
        raise CheckFailed(
            "the engine on the host does not listen on TCP",
            hint="run `pymachine provision` where the machine was created",
        )
    return open_ports[0]


def with_authority(found: bytes, authority: bytes, identity: str) -> bytes:
    """Return the list with an authority in the section of ``identity``, in place of the one that is there."""
    begin, end = _marks(identity)
    rest = without_authority(found, identity)
    return rest + (b"" if rest.endswith(b"\n") or not rest else b"\n") + begin + authority.strip() + b"\n" + end


def without_authority(found: bytes, identity: str) -> bytes:
    """Return the list without the section of ``identity``."""
    begin, end = map(re.escape, _marks(identity))
    return re.sub(begin + b".*?" + end, b"", found, flags=re.DOTALL)


def _marks(identity: str) -> tuple[bytes, bytes]:
    return f"# BEGIN pymachine attach {identity}\n".encode(), f"# END pymachine attach {identity}\n".encode()


def plan_trust(facts: HostFacts, access: EngineAccess, found: bytes, final: bytes, title: str) -> TrustPlan:
    """Plan to give the engine the list ``final`` in place of ``found``. Raises ``CheckFailed``."""
    engine = facts.engine
    assert engine is not None, "it was asked how clients reach it"
    existing = parse_config(facts.daemon_json or b"", facts.daemon_json_path)
    live = decide(engine, existing, ours_already=False, fresh=True)
    before = switched_on(engine, existing, live)
    check_replaceable(facts.obstacles, [access.path, *([facts.daemon_json_path] if before else [])])
    effects: Sequence[Effect] = (Effect.RESTART_ENGINE,)
    if stops_containers(engine, live):
        effects = (*effects, Effect.STOP_CONTAINERS)
    changes = (
        Change(title, f"in {access.path}; the other authorities stay", Aspect.CERTIFICATES),
        Change("restart the engine once", "it reads the list at its start", Aspect.RESTART, tuple(effects)),
    )
    return TrustPlan(
        path=access.path,
        port=access.port,
        owner=access.manifest.id if access.manifest else "",
        found_digest=hashlib.sha256(found).hexdigest(),
        final=final,
        title=title,
        config_path=facts.daemon_json_path,
        before=before,
        changes=changes,
        announcements=fate_of_containers(engine, live),
    )


def trust_bundle(plan: TrustPlan) -> Bundle:
    """Return the bundle that executes the plan."""
    texts = {
        "trust.sh": render("engine/trust.sh.j2", plan=plan).encode(),
        "list": plan.final,
        "daemon.before.json": plan.before,
    }
    return make_bundle("trust.sh", texts)
