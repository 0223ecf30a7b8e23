"""What daemon.json will be on a host, and which way the engine is told to listen. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace
from typing import Any

from pymachine.difference import Difference, differences
from pymachine.engine import checks
from pymachine.engine.bridge_networks import network_conflicts
from pymachine.engine.daemon_config import (
    Config,
    Merged,
    encode_config,
    label_conflicts,
    merge,
    parse_config,
    set_values,
    shown,
    withdraw,
    without_old_labels,
)
from pymachine.engine.daemon_keys import misfits
from pymachine.engine.data_places import place_conflicts
from pymachine.engine.host_facts import EngineFacts, HostFacts
from pymachine.engine.live_restore import ON, LiveRestore, decide, switched_on
from pymachine.engine.machine_drop_in import MachineDropIn, joined, listener, shared_with_record, started_with
from pymachine.engine.manifest import Manifest
from pymachine.engine.options import TLS_KEYS, wanted_config
from pymachine.errors import CheckFailed
from pymachine.model import EngineSpec, Machine

ABSENT = "absent"
_READ = frozenset({"hosts", "labels", "live-restore", "storage-driver"})
UNIX_SOCKET = "unix:///var/run/docker.sock"


@dataclass(frozen=True, slots=True)
class ConfigPlan:
    """The texts of daemon.json, and what to record of them.

    ``final`` is what the engine is started with. ``before`` (the old file with live-restore switched on, for a
    reload) and ``after`` (``final`` without it again, once the engine is back) are None where not needed. ``found``
    is the digest of the file that the plan was made from, ``changed`` what differs, by its keys. ``listen`` is the
    engine's TCP socket; ``by_flag`` says that its unit names it, else the ``hosts`` key does. ``protection`` are
    the flags that stand beside it there and ask for client certificates: what opens and what protects is one file
    in either case. ``nulls`` are keys that are null in the file and go, since the unit has a flag of that name.
    ``open_before`` is where the engine, as it was found, listens beyond the host without asking for certificates.
    ``command`` is the command line that stands in place of the unit's own, and ``drop_in`` is docker-machine's that
    goes, on a host that it had set up.
    """

    path: str
    found: str
    final: bytes
    added: Config
    listen: str
    by_flag: bool
    protection: tuple[str, ...] = ()
    before: bytes | None = None
    after: bytes | None = None
    changed: Mapping[str, tuple[Difference, ...]] = field(default_factory=dict)
    nulls: tuple[str, ...] = ()
    live_restore: LiveRestore = LiveRestore.LEAVE
    open_before: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    drop_in: MachineDropIn | None = None


def digest(content: bytes | None) -> str:
    """Return the SHA-256 of a file's content in hex, or ``absent`` for a file that is not there."""
    return ABSENT if content is None else hashlib.sha256(content).hexdigest()


def plan_config(
    machine: Machine,
    facts: HostFacts,
    previous: Manifest | None,
    *,
    fresh: bool,
    former: EngineSpec | None = None,
    drop_in: MachineDropIn | None = None,
) -> ConfigPlan:
    """Merge what the machine's engine shall be into the host's daemon.json.

    ``former`` is the engine on record, if another one is wanted. The options of docker-machine's ``drop_in`` move to
    the file; those on record are the machine's own from then on. Raises ``CheckFailed`` naming every conflict at
    once, ``UsageFault`` for options that make no sense.
    """
    spec, had = machine.engine, _had(machine, former, previous, drop_in)
    found = parse_config(facts.daemon_json or b"", facts.daemon_json_path)
    existing = joined(found, drop_in)
    command = drop_in.command if drop_in else previous.command if previous else ()
    seen = started_with(facts, command)
    theirs = set_values(withdraw(existing, had))
    _check_shapes(theirs, facts.daemon_json_path)
    by_flag = _listens_by_flag(facts, theirs)
    listen = (command and listener(facts.engine, spec.port)) or _everywhere(facts, spec.port)
    flags = {key: value for key, value in TLS_KEYS.items() if by_flag and key not in theirs}
    wanted = _wanted(machine, theirs) | ({} if by_flag else {"hosts": _hosts(theirs, spec.port, listen)})
    nulls = _nulls_beside(flags.keys() | ({"hosts"} if by_flag else set()), existing)
    existing = {key: value for key, value in existing.items() if key not in nulls}
    in_file = {key: value for key, value in wanted.items() if key not in flags}
    start = merge(existing, in_file, had).config
    live = decide(seen.engine, start, ours_already=bool(had.get("live-restore")), fresh=fresh)
    merged = merge(existing, in_file | (ON if live is LiveRestore.KEEP else {}), had)
    sides = _Sides(without_old_labels(theirs, wanted, had), wanted, merged, existing, fresh)
    _refuse(seen, spec, previous, sides)
    plan = ConfigPlan(
        facts.daemon_json_path, digest(facts.daemon_json), b"", merged.added, listen, by_flag, _as_flags(flags),
        nulls=nulls, open_before=checks.open_listeners(facts.engine, set_values(existing)),
        command=command, drop_in=drop_in,
    )  # fmt: skip
    return _with_texts(plan, facts, found, merged.config, live)


def _had(
    machine: Machine, former: EngineSpec | None, previous: Manifest | None, drop_in: MachineDropIn | None
) -> Mapping[str, Any]:
    """Return what counts as set by pymachine: by an earlier set-up, or by docker-machine with what is on record."""
    had = previous.added if previous else {}
    if drop_in is None:
        return had
    ours, _ = shared_with_record(drop_in.config, wanted_config(former or machine.engine, machine.driver))
    return merge(ours, had, {}).config


def _everywhere(facts: HostFacts, port: int) -> str:
    return f"tcp://{'[::]' if facts.ipv6 else '0.0.0.0'}:{port}"


def _check_shapes(theirs: Mapping[str, Any], path: str) -> None:
    """Refuse values of the keys that are read here which dockerd could not read either. Raises ``CheckFailed``."""
    found = misfits({key: value for key, value in theirs.items() if key in _READ})
    if found:
        raise CheckFailed(f"{path}: {'; '.join(found)}", hint="correct the file; nothing was changed")


def _nulls_beside(flags: Set[str], config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the keys that dockerd takes for not set, but does not start with beside a flag of the same name."""
    return tuple(key for key, value in config.items() if value is None and key in flags)


def _as_flags(config: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(f"--{key}" if value is True else f"--{key}={value}" for key, value in config.items())


@dataclass(frozen=True, slots=True)
class _Sides:
    theirs: Mapping[str, Any]
    wanted: Mapping[str, Any]
    merged: Merged
    existing: Mapping[str, Any]
    fresh: bool


def _listens_by_flag(facts: HostFacts, theirs: Mapping[str, Any]) -> bool:
    """dockerd takes sockets from flags or from the file, never both. systemd units have ``-H``, OpenRC's has none."""
    if "hosts" in theirs:
        return False
    return facts.init != "openrc" or bool(facts.engine and "host" in facts.engine.flags)


def _hosts(theirs: Mapping[str, Any], port: int, listen: str) -> list[str]:
    there = [str(host) for host in theirs.get("hosts", [])]
    if any(host.startswith("tcp:") and host.endswith(f":{port}") for host in there):
        return []
    return [*([] if there else [UNIX_SOCKET]), listen]


def _wanted(machine: Machine, theirs: Mapping[str, Any]) -> Config:
    wanted = wanted_config(machine.engine, machine.driver)
    named = any(str(label).startswith("provider=") for label in theirs.get("labels", []))
    provider = f"provider={machine.driver}"
    if named and provider not in machine.engine.labels:  # the host says what it is; our default gives way
        wanted["labels"] = [label for label in wanted["labels"] if label != provider]
    return wanted | TLS_KEYS


def _refuse(facts: HostFacts, spec: EngineSpec, previous: Manifest | None, sides: _Sides) -> None:
    """Raise ``CheckFailed`` with every conflict between the host and what is asked for."""
    found = [
        f"{facts.daemon_json_path}: {one.key} is {shown(one.present)} on the host, {shown(one.wanted)} is requested"
        for one in sides.merged.conflicts
    ]
    found += label_conflicts(sides.theirs.get("labels", []), sides.wanted.get("labels", []))
    found += network_conflicts(sides.wanted, sides.existing, facts.addresses)
    found += checks.port_conflicts(facts, spec.port, previous)
    ports = {spec.port} | ({previous.port} if previous else set())
    found += checks.socket_conflicts(facts.engine, previous)
    found += checks.listener_conflicts(facts.engine, sides.theirs.get("hosts", []), ports)
    if facts.engine is not None:
        found += _engine_conflicts(facts.engine, sides)
    if found:
        raise CheckFailed(
            f"{_conflicting(len(found))} with the host's configuration:" + "".join(f"\n  {line}" for line in found),
            hint="nothing was changed; change the options, or the configuration on the host",
        )


def _conflicting(count: int) -> str:
    return "1 requested setting conflicts" if count == 1 else f"{count} requested settings conflict"


def _engine_conflicts(engine: EngineFacts, sides: _Sides) -> list[str]:
    return [
        *checks.flag_conflicts(engine, sides.wanted),
        *checks.storage_conflicts(engine, sides.wanted),
        *checks.swarm_conflicts(engine, sides.wanted),
        *place_conflicts(engine, sides.existing, sides.merged.config, fresh=sides.fresh),
    ]


def _with_texts(
    plan: ConfigPlan, facts: HostFacts, existing: Config, config: Config, live: LiveRestore
) -> ConfigPlan:
    changed = {
        key: () if key in TLS_KEYS else differences("", existing.get(key), config.get(key), key=key)
        for key in {**existing, **config}
        if existing.get(key) != config.get(key) or key in plan.nulls
    }
    same = facts.daemon_json if facts.daemon_json is not None and config == existing else None
    final = same or encode_config(config)
    borrowed = live is LiveRestore.BORROW
    return replace(
        plan,
        final=encode_config(config | ON) if borrowed else final,
        before=switched_on(facts.engine, existing, live),
        after=final if borrowed else None,
        changed=changed,
        live_restore=live,
    )
