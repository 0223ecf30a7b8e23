"""Plans the engine set-up from a machine and the facts of its host. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pymachine.engine import checks
from pymachine.engine.configuration import plan_config
from pymachine.engine.effects import Change, Effect, effects_of
from pymachine.engine.environment import environment_digest, proxies_of, variables_of
from pymachine.engine.files import files_of_setup, loopback_line
from pymachine.engine.firewall import plan_firewall, told_of_ufw
from pymachine.engine.host_facts import HostFacts
from pymachine.engine.live_restore import fate_of_containers
from pymachine.engine.machine_drop_in import find_drop_in
from pymachine.engine.manifest import Manifest, manifest_of
from pymachine.engine.neighbours import beside, check_asked, check_engine_kind, check_units
from pymachine.engine.obstacles import check_replaceable
from pymachine.engine.options import ENVIRONMENT_FILE
from pymachine.engine.os_family import Family, family_of
from pymachine.engine.setup_changes import certificate_changes, host_changes, restart_changes
from pymachine.engine.setup_plan import SetupPlan
from pymachine.engine.sources import EngineSource, choose_source
from pymachine.errors import CheckFailed
from pymachine.model import EngineSpec, Machine

__all__ = ["Change", "SetupPlan", "plan_setup"]


def plan_setup(
    machine: Machine,
    facts: HostFacts,
    *,
    take_over: bool = False,
    own_host: bool = False,
    former: EngineSpec | None = None,
    renewals: Sequence[Change] = (),
) -> SetupPlan:
    """Plan the set-up of ``machine.engine`` on a host; a host that is set up already does not change.

    ``take_over`` takes a host with another machine's manifest. ``own_host`` says that pymachine made the host, so
    that an engine of its image counts as pymachine's. ``former`` is the engine on record, if another one is wanted;
    ``renewals`` are new certificates to install. Raises ``CheckFailed`` for a host that cannot or must not be set up,
    ``UsageFault`` for invalid options; nothing is touched by then.
    """
    previous = manifest_of(facts)
    checks.check_owner(previous, machine.name, machine.id, take_over=take_over)
    _check_engines(facts)
    fresh = own_host or facts.engine is None or bool(previous and previous.fresh)
    source = choose_source(machine.engine, facts, before=previous.source if previous and previous.fresh else None)
    checks.check_room(facts, installing=facts.engine is None)
    checks.check_version(machine.engine, facts.engine)
    family = _family(facts, source)
    if source.packages:
        checks.check_choice_of_version(machine.engine.version, family)
    drop_in = find_drop_in(facts, previous, variables_of(machine.engine, former))
    config = plan_config(machine, facts, previous, fresh=fresh, former=former, drop_in=drop_in)
    plan = SetupPlan(
        machine=machine,
        source=source,
        config=config,
        manifest=Manifest(machine.name, machine.id),
        recovery=Manifest(machine.name, machine.id),
        family=family,
        init=_init(facts),
        fresh=fresh,
        rhel10="rhel" in facts.os.lineage and facts.os.version_id.startswith("10"),
        environment=checks.environment_pairs(machine.engine.env),
        proxies=proxies_of(machine.engine),
        hostname=_hostname(machine, facts, previous, fresh=fresh),
        group_user=_group_user(facts, fresh=fresh),
        firewall=plan_firewall(facts.firewall, machine.engine.port, previous),
        take_over=take_over,
        unfinished=_unfinished(facts, source, family),
    )
    _check_host(plan, facts)
    return _with_changes(plan, facts, previous, former, renewals)


def _with_changes(
    plan: SetupPlan,
    facts: HostFacts,
    previous: Manifest | None,
    former: EngineSpec | None,
    renewals: Sequence[Change],
) -> SetupPlan:
    """Return the plan with its manifests, with what it changes on the host, and what is announced of that."""
    plan = replace(plan, manifest=_manifest(plan, facts, previous))
    plan = replace(plan, recovery=_recovery(plan, previous))
    changes = (*certificate_changes(plan, previous, renewals), *host_changes(plan, facts, previous, former))
    plan = replace(plan, changes=(*changes, *restart_changes(plan, facts, changes)))
    return replace(plan, announcements=_announcements(plan, facts))


def _check_engines(facts: HostFacts) -> None:
    """Refuse a host whose engine, or another engine, prevents a set-up. Raises ``CheckFailed``."""
    check_engine_kind(facts)
    check_units(facts)
    check_asked(facts)


def _family(facts: HostFacts, source: EngineSource) -> Family | None:
    """Return the package family; an installed engine can be configured without one."""
    try:
        return family_of(facts.os)
    except CheckFailed:
        if source.kind in ("none", "url", "script"):
            return None
        raise


def _init(facts: HostFacts) -> str:
    if facts.init not in ("systemd", "openrc"):
        raise CheckFailed(
            f"the host uses neither systemd nor OpenRC ({facts.os.pretty or facts.os.id})",
            hint="pymachine supports only these two",
        )
    return facts.init


def _hostname(machine: Machine, facts: HostFacts, previous: Manifest | None, *, fresh: bool) -> str | None:
    wanted = machine.engine.set_hostname
    if wanted is False or (wanted is None and not fresh):
        return None
    kept = previous.hostname if previous else None
    return machine.name if facts.hostname != machine.name or kept == machine.name else None


def _group_user(facts: HostFacts, *, fresh: bool) -> str | None:
    """Return the login account to add to group docker, if pymachine installed the engine and the group exists."""
    lacking = facts.engine is not None and facts.docker_group is False
    return None if not fresh or facts.user == "root" or "docker" in facts.groups or lacking else facts.user


def _unfinished(facts: HostFacts, source: EngineSource, family: Family | None) -> tuple[str, ...]:
    """Return the packages that apt has to finish first; for an installed engine only its own count."""
    if family is not Family.APT:
        return ()
    own = {facts.engine.package} if facts.engine else set()
    installs = bool(source.packages) and facts.engine is None
    return tuple(name for name in facts.half_configured if installs or name in own)


def _check_host(plan: SetupPlan, facts: HostFacts) -> None:
    """Refuse files that cannot be replaced, and package sources that cannot be read. Raises ``CheckFailed``."""
    environment = bool(plan.environment or plan.proxies)
    written = files_of_setup(plan.config, facts, plan.source, hostname=plan.hostname, environment=environment)
    check_replaceable(facts.obstacles, written)
    if facts.sources_fault and plan.source.packages and facts.engine is None:
        raise CheckFailed(
            f"the host's package manager cannot read its sources: {facts.sources_fault}",
            hint="correct them on the host; nothing was changed",
        )


def _manifest(plan: SetupPlan, facts: HostFacts, previous: Manifest | None) -> Manifest:
    renamed_before = previous is not None and previous.hostname is not None
    docker, drop_in = plan.source.kind == "docker", plan.config.drop_in
    installs = plan.source.kind != "none"
    return Manifest(
        name=plan.machine.name,
        id=plan.machine.id,
        fresh=plan.fresh,
        source=plan.source.kind if installs or previous is None else previous.source,
        port=plan.machine.engine.port,
        config_path=plan.config.path,
        config_created=facts.daemon_json is None or bool(previous and previous.config_created),
        config_before=previous.config_before if previous else _text(facts.daemon_json),
        added=plan.config.added,
        hostname=plan.hostname or (previous.hostname if previous else None),
        hostname_before=previous.hostname_before if previous and renamed_before else facts.hostname,
        hosts_before=previous.hosts_before
        if previous and renamed_before
        else loopback_line(facts.etc_hosts, facts.hostname),
        hostname_text=previous.hostname_text if previous and renamed_before else facts.etc_hostname,
        hostname_created=previous.hostname_created if previous and renamed_before else facts.etc_hostname is None,
        group_users=_members(previous, plan.group_user),
        firewall_port=plan.firewall.ours.port if plan.firewall.ours else None,
        firewall_zone=plan.firewall.ours.zone if plan.firewall.ours else None,
        repository=(docker and not plan.source.own_repo) or bool(previous and previous.repository),
        held=plan.source.packages if docker or plan.version else (previous.held if previous else ()),
        environment=environment_digest(plan.machine.id, plan.environment, plan.proxies),
        environment_file=ENVIRONMENT_FILE if plan.variables else None,
        drop_in=drop_in.path if drop_in else (previous.drop_in if previous else None),
        moved=drop_in.config if drop_in else (previous.moved if previous else {}),
        command=plan.config.command,
    )


def _members(previous: Manifest | None, user: str | None) -> tuple[str, ...]:
    """Return the accounts added to group docker, now or before; a former login is removed with the machine."""
    return tuple(dict.fromkeys((*(previous.members if previous else ()), *([user] if user else []))))


def _text(content: bytes | None) -> str | None:
    return None if content is None else content.decode("utf-8-sig")


def _recovery(plan: SetupPlan, previous: Manifest | None) -> Manifest:
    """Return the manifest after a failed set-up: packages stay, so that the next try need not download them again."""
    if previous is not None:
        return replace(previous, name=plan.machine.name, id=plan.machine.id)
    return replace(
        plan.manifest,
        added={},
        config_created=False,
        config_before=None,
        hostname=None,
        hostname_before=None,
        hosts_before=None,
        hostname_text=None,
        hostname_created=False,
        group_users=(),
        firewall_port=None,
        firewall_zone=None,
        environment=None,
        environment_file=None,
        drop_in=None,
        moved={},
        command=(),
    )


def _announcements(plan: SetupPlan, facts: HostFacts) -> tuple[str, ...]:
    """Return what the owner should know in advance; containers only if the engine restarts."""
    restarts = Effect.RESTART_ENGINE in effects_of(plan.changes)
    found = list(fate_of_containers(facts.engine, plan.config.live_restore)) if restarts else []
    if plan.config.drop_in:
        found.append(plan.config.drop_in.told(plan.config.path))
    if plan.source.reason:
        found.insert(0, f"engine: {plan.source.title} ({plan.source.reason})")
    found += [
        f"the engine listens on {where} without TLS authentication, as before" for where in plan.config.open_before
    ]
    return (*found, *beside(facts.neighbours), *told_of_ufw(facts.firewall, plan.machine.engine.port))
