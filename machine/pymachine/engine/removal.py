"""Taking a set-up off a host: exactly what was added goes, as its own manifest tells it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pymachine.engine.bundle import LOCK_MESSAGES, Bundle, make_bundle
from pymachine.engine.configuration import digest
from pymachine.engine.daemon_config import Config, encode_config, parse_config, set_values, withdraw
from pymachine.engine.data_places import may_hold_data, places_in, without_places
from pymachine.engine.effects import RESTARTING, Aspect, Change, Effect
from pymachine.engine.files import daemon_json
from pymachine.engine.host_facts import DAEMON_JSON, DATA_ROOT, HostFacts
from pymachine.engine.live_restore import ON, LiveRestore, decide, fate_of_containers, stops_containers, switched_on
from pymachine.engine.manifest import FirewalldPort, Manifest, manifest_of
from pymachine.engine.neighbours import check_asked
from pymachine.engine.obstacles import ETC_HOSTNAME, ETC_HOSTS, check_replaceable, drop_in_of
from pymachine.engine.options import TLS_FOLDER, TLS_KEYS
from pymachine.engine.os_family import Family, family_of
from pymachine.templates import render


@dataclass(frozen=True, slots=True)
class RemovalPlan:
    """What the removal script is rendered from.

    ``final`` is the user's daemon.json, None where there shall be none; ``before`` and ``start`` are the texts
    that keep containers running through the one restart. ``places`` are settings of the set-up that stay, because the
    engine has its data there. ``data_path`` is where the engine was told to have its data,
    ``data_root`` where it says that they are: the first may be a link. ``foreign`` names the machine that the host
    belongs to instead: then nothing is done at all. ``hostname_text`` is what /etc/hostname shall have again.
    ``drop_in`` is docker-machine's, which is put back.
    """

    foreign: str | None = None
    config_path: str = DAEMON_JSON
    found: str = ""
    final: bytes | None = None
    before: bytes | None = None
    start: bytes | None = None
    live_restore: LiveRestore = LiveRestore.LEAVE
    config_changes: tuple[str, ...] = ()
    config_created: bool = False
    hostname: str | None = None
    hostname_before: str | None = None
    hosts_before: str | None = None
    hostname_text: str = ""
    hostname_created: bool = False
    group_users: tuple[str, ...] = ()
    opening: FirewalldPort | None = None
    held: tuple[str, ...] = ()
    repository: bool = False
    purge: bool = False
    data_path: str = DATA_ROOT
    data_root: str = DATA_ROOT
    places: tuple[str, ...] = ()
    drop_in: str | None = None
    family: Family | None = None
    changes: tuple[Change, ...] = ()
    announcements: tuple[str, ...] = ()


def plan_removal(facts: HostFacts, *, purge: bool = False, owner: str | None = None) -> RemovalPlan:
    """Plan the removal of what a set-up left on the host; fine if half of it is gone, or nothing is there.

    ``purge`` also takes the engine's packages and all its data, where a set-up installed them. ``owner`` is the
    machine's id: a host that meanwhile belongs to another machine is left alone. Raises ``CheckFailed`` if
    daemon.json cannot be read, or an engine that stays could not be asked about its containers.
    """
    manifest = manifest_of(facts)
    if manifest is not None and owner is not None and manifest.id != owner:
        return RemovalPlan(foreign=manifest.name, announcements=(_not_ours(manifest),))
    purging = purge and manifest is not None and manifest.fresh and bool(facts.installed)
    if not purging:
        check_asked(facts)
    existing = parse_config(facts.daemon_json or b"", facts.daemon_json_path)
    moved = manifest.moved if manifest else {}
    added = {key: value for key, value in (manifest.added if manifest else TLS_KEYS).items() if key not in moved}
    places = () if purging or facts.engine is None or not may_hold_data(facts.engine) else places_in(added)
    theirs = withdraw(existing, without_places(added) if places else added)
    # dockerd does not start with a key that is a flag in docker-machine's drop-in, whatever its value.
    theirs = {key: value for key, value in theirs.items() if key not in moved}
    plan = replace(_base(facts, manifest, existing, theirs), places=places)
    plan = replace(plan, config_changes=tuple(key for key in existing if existing[key] != theirs.get(key)))
    if purging:
        plan = replace(plan, purge=True, family=family_of(facts.os))
    else:
        plan = _keeping_containers(plan, facts, existing, theirs, dict(moved))
    check_replaceable(facts.obstacles, _files(plan, facts))
    changes = _changes(plan, facts, manifest)
    return replace(plan, changes=changes, announcements=_announcements(plan, facts, purge=purge) if changes else ())


def _files(plan: RemovalPlan, facts: HostFacts) -> list[str]:
    """Return the files that the removal will write or take away."""
    gone = [plan.config_path] if plan.final is None and facts.daemon_json is not None else []
    return [
        *gone,
        *daemon_json(plan.config_path, facts, (plan.before, plan.start, plan.final)),
        *([ETC_HOSTNAME, ETC_HOSTS] if plan.hostname else []),
        *([drop_in_of(facts.engine.unit)] if facts.engine and facts.init == "systemd" else []),
        *([plan.drop_in] if plan.drop_in else []),
    ]


def removal_bundle(plan: RemovalPlan) -> Bundle:
    """Return the bundle that carries the plan out. Its ``rollback`` does nothing once the removal is done."""
    script = "engine/nothing.sh.j2" if plan.foreign else "engine/remove.sh.j2"
    values = {"plan": plan, "tls_folder": TLS_FOLDER, "lock_messages": LOCK_MESSAGES}
    texts = {
        "remove.sh": render(script, **values).encode(),
        "daemon.json": plan.final,
        "daemon.before.json": plan.before,
        "daemon.start.json": plan.start,
    }
    return make_bundle("remove.sh", texts)


def _not_ours(manifest: Manifest) -> str:
    return f"the host now belongs to machine {manifest.name} and is not changed"


def _users_text(facts: HostFacts, manifest: Manifest | None, theirs: Config) -> bytes | None:
    """Return daemon.json as the user has it: their own text where it says the same, None for no file."""
    if facts.daemon_json is None or (manifest is not None and manifest.config_created and not theirs):
        return None
    texts = [facts.daemon_json]
    if manifest is not None and manifest.config_before is not None:
        texts.insert(0, manifest.config_before.encode())
    path = facts.daemon_json_path
    said = set_values(theirs)
    return next((text for text in texts if set_values(parse_config(text, path)) == said), encode_config(theirs))


def _data_path(facts: HostFacts, existing: Config) -> str:
    """Return where the engine is told to have its data; it may not run, or be gone already."""
    flags = facts.engine.flags if facts.engine else {}
    found = [*flags.get("data-root", []), *flags.get("graph", []), existing.get("data-root"), existing.get("graph")]
    return next((one for one in found if isinstance(one, str) and one.startswith("/")), DATA_ROOT)


def _base(facts: HostFacts, manifest: Manifest | None, existing: Config, theirs: Config) -> RemovalPlan:
    path = _data_path(facts, existing)
    plan = RemovalPlan(
        config_path=facts.daemon_json_path,
        found=digest(facts.daemon_json),
        final=_users_text(facts, manifest, theirs),
        config_created=manifest.config_created if manifest else False,
        data_path=path,
        data_root=facts.engine.data_root if facts.engine and facts.engine.info else path,
    )
    if manifest is None:
        return plan
    renamed = manifest.hostname is not None and manifest.hostname != manifest.hostname_before
    return replace(
        plan,
        hostname=manifest.hostname if renamed and manifest.hostname_before else None,
        hostname_before=manifest.hostname_before,
        hosts_before=manifest.hosts_before,
        hostname_text=manifest.hostname_text or f"{manifest.hostname_before or ''}\n",
        hostname_created=manifest.hostname_created,
        group_users=manifest.members,
        opening=manifest.opening,
        held=manifest.held,
        repository=manifest.repository,
        drop_in=manifest.drop_in,
    )


def _keeping_containers(
    plan: RemovalPlan, facts: HostFacts, existing: Config, theirs: Config, returning: Config
) -> RemovalPlan:
    """Have live-restore on from before the stop until after the start, then as the user has it.

    ``returning`` are options that are flags again.
    """
    choice = decide(facts.engine, theirs | returning, ours_already=False, fresh=True)
    return replace(
        plan,
        live_restore=choice,
        before=switched_on(facts.engine, existing, choice),
        start=encode_config(theirs | ON) if choice is LiveRestore.BORROW else None,
    )


def _changes(plan: RemovalPlan, facts: HostFacts, manifest: Manifest | None) -> tuple[Change, ...]:
    if manifest is None and not plan.config_changes:
        return ()
    found = [
        Change(f"remove {key} from {plan.config_path}", "the set-up added it", Aspect.CONFIG)
        for key in plan.config_changes
    ]
    found.append(Change("remove the systemd drop-in and the certificates", "the set-up added them"))
    if plan.drop_in:
        found.append(Change(f"put {plan.drop_in} back", "docker-machine's command line is in force again"))
    if plan.hostname:
        what = f"set the host name back to {plan.hostname_before}"
        found.append(Change(what, f"it was changed to {plan.hostname}", Aspect.HOST))
    if plan.group_users:
        what = f"take {', '.join(plan.group_users)} out of group docker"
        found.append(Change(what, "the set-up added it", Aspect.HOST))
    if plan.repository:
        found.append(Change("remove Docker's package source and release the held packages", "the set-up added them"))
    if plan.purge:
        why = "a set-up of pymachine installed them"
        found.append(Change("purge the engine's packages", why, effects=(Effect.STOP_CONTAINERS,)))
        why = "--purge: images, containers and volumes are deleted"
        found.append(Change(f"delete {plan.data_root}", why, effects=(Effect.DELETE_DATA,)))
    elif facts.engine is not None and facts.engine.active:
        stops = (Effect.STOP_CONTAINERS,) if stops_containers(facts.engine, plan.live_restore) else ()
        why = "it returns to its own configuration"
        found.append(Change("restart the engine once", why, Aspect.RESTART, (*RESTARTING, *stops)))
    return tuple(found)


def _why_kept(facts: HostFacts) -> str:
    manifest = manifest_of(facts)
    if manifest is not None and manifest.fresh:
        return "the engine came from an install script, and only that knows how to remove it; it stays, with its data"
    return "the engine was on the host before pymachine and stays, with its data"


def _announcements(plan: RemovalPlan, facts: HostFacts, *, purge: bool) -> tuple[str, ...]:
    if plan.purge:
        return ("the engine and all its images, containers and volumes are deleted",)
    kept = [_why_kept(facts)] if purge and facts.engine else []
    if plan.places:
        kept.append(f"{', '.join(plan.places)} stays in {plan.config_path}: the engine has its data there")
    return (*kept, *fate_of_containers(facts.engine, plan.live_restore))
