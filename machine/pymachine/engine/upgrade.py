"""Plans an engine upgrade from the source from which the engine was installed. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from pymachine.engine.bundle import LOCK_MESSAGES, Bundle, make_bundle
from pymachine.engine.checks import (
    check_choice_of_version,
    check_room,
    check_version,
    compare_versions,
    matches_version,
    upstream,
)
from pymachine.engine.daemon_config import parse_config
from pymachine.engine.effects import Aspect, Change, Effect
from pymachine.engine.environment import proxies_of
from pymachine.engine.host_facts import DAEMON_JSON, EngineFacts, HostFacts
from pymachine.engine.live_restore import LiveRestore, decide, fate_of_containers, stops_containers, switched_on
from pymachine.engine.manifest import manifest_of
from pymachine.engine.neighbours import check_asked, check_units
from pymachine.engine.obstacles import check_replaceable, drop_in_of
from pymachine.engine.os_family import Family, family_of
from pymachine.engine.sources import DOCKER_PACKAGES, EngineSource
from pymachine.errors import CheckFailed
from pymachine.model import EngineSpec
from pymachine.templates import render

_DISTRO_PACKAGES = {"docker.io": ("docker.io",), "docker": ("docker",), "moby-engine": ("moby-engine",)}


@dataclass(frozen=True, slots=True)
class UpgradePlan:
    """The values for the upgrade script. ``port`` is None without a set-up of pymachine on the host.

    ``before`` is daemon.json with live-restore enabled, for the upgrade; ``borrowed`` says that it is disabled
    afterwards.
    """

    family: Family
    source: EngineSource
    version: str | None = None
    allow_downgrade: bool = False
    config_path: str = DAEMON_JSON
    before: bytes | None = None
    borrowed: bool = False
    port: int | None = None
    listen: str = ""
    proxies: tuple[tuple[str, str], ...] = ()
    rhel10: bool = False
    changes: tuple[Change, ...] = ()
    announcements: tuple[str, ...] = ()


def plan_upgrade(spec: EngineSpec, facts: HostFacts, *, allow_downgrade: bool = False) -> UpgradePlan:
    """Plan the upgrade to ``spec.version``, or to the newest version of the engine's own source.

    Pins and holds are kept and lifted only for the upgrade. Raises ``CheckFailed`` if there is no engine, if no
    package owns it, or for a downgrade.
    """
    engine = facts.engine
    if engine is None:
        raise CheckFailed("there is no engine on the host to upgrade", hint="use pymachine provision")
    check_units(facts)
    check_asked(facts)
    source = _source(engine)
    check_room(facts, installing=True)
    if not allow_downgrade and spec.version and _is_older(spec, engine):
        check_version(spec, engine)
    check_choice_of_version(spec.version, family_of(facts.os))
    existing = parse_config(facts.daemon_json or b"", facts.daemon_json_path)
    live = decide(engine, existing, ours_already=False, fresh=True)
    manifest = manifest_of(facts)
    port = manifest.port if manifest else None
    before = switched_on(engine, existing, live)
    written = ([facts.daemon_json_path] if before else []) + ([drop_in_of(engine.unit)] if port else [])
    check_replaceable(facts.obstacles, written)
    return UpgradePlan(
        family=family_of(facts.os),
        source=source,
        version=spec.version,
        allow_downgrade=allow_downgrade,
        config_path=facts.daemon_json_path,
        before=before,
        borrowed=live is LiveRestore.BORROW,
        port=port,
        listen=f"tcp://{'[::]' if facts.ipv6 else '0.0.0.0'}:{port}" if port else "",
        proxies=proxies_of(spec),
        changes=_changes(spec, engine, source, stops=stops_containers(engine, live)),
        announcements=fate_of_containers(engine, live),
    )


def upgrade_bundle(plan: UpgradePlan) -> Bundle:
    """Return the bundle that executes the plan."""
    script = render("engine/upgrade.sh.j2", plan=plan, lock_messages=LOCK_MESSAGES, allow_http=False)
    texts = {
        "upgrade.sh": script.encode(),
        "exec-start.awk": render("engine/exec-start.awk.j2").encode(),
        "daemon.before.json": plan.before,
    }
    return make_bundle("upgrade.sh", texts)


def _source(engine: EngineFacts) -> EngineSource:
    if engine.package == "docker-ce":
        return EngineSource("docker", packages=DOCKER_PACKAGES)
    if engine.package in _DISTRO_PACKAGES:
        return EngineSource("distro", packages=_DISTRO_PACKAGES[engine.package])
    owner = f"belongs to package {engine.package}" if engine.package else "belongs to no package"
    raise CheckFailed(
        f"the engine at {engine.dockerd} {owner}, which pymachine cannot upgrade",
        hint="upgrade it with the method that installed it, then run pymachine provision",
    )


def _is_older(spec: EngineSpec, engine: EngineFacts) -> bool:
    return bool(spec.version and engine.version and compare_versions(spec.version, engine.version) < 0)


def _changes(spec: EngineSpec, engine: EngineFacts, source: EngineSource, *, stops: bool) -> tuple[Change, ...]:
    """Return the changes; the newest version is known only after the upgrade has refreshed the package lists."""
    names = ", ".join(source.packages)
    if spec.version:
        goal, unless = spec.version, "if that is another version"
    else:
        known = f" (the host knows of {upstream(engine.offered[0])})" if engine.offered else ""
        goal, unless = f"the newest of {source.title}{known}", "if there is a newer one"
    certain = bool(spec.version) and not matches_version(engine.version, spec.version or "")
    restart = Effect.RESTART_ENGINE if certain else Effect.MAY_RESTART_ENGINE
    effects = (restart, Effect.STOP_CONTAINERS) if stops else (restart,)
    return (
        Change(
            f"upgrade {names} to {goal}", f"engine {engine.version} is there; nothing happens if that is the newest"
        ),
        Change(f"restart the engine once, {unless}", "the new version takes over", Aspect.RESTART, effects),
    )
