"""Plans the engine set-up from a machine and the facts of its host. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pymachine.engine import checks
from pymachine.engine.configuration import ConfigPlan, plan_config
from pymachine.engine.effects import RESTARTING, Aspect, Change, Effect, effects_of
from pymachine.engine.files import files_of_setup, loopback_line
from pymachine.engine.firewall import FirewallPlan, plan_firewall, told_of_ufw
from pymachine.engine.host_facts import HostFacts
from pymachine.engine.live_restore import fate_of_containers, stops_containers
from pymachine.engine.manifest import FirewalldPort, Manifest, manifest_of
from pymachine.engine.neighbours import beside, check_asked, check_engine_kind, check_units
from pymachine.engine.obstacles import check_replaceable
from pymachine.engine.options import ENVIRONMENT_FILE, TLS_KEYS
from pymachine.engine.os_family import Family, family_of
from pymachine.engine.sources import EngineSource, choose_source
from pymachine.errors import CheckFailed, UsageFault
from pymachine.model import EngineSpec, Machine
from pymachine.options.values import passes_on

__all__ = ["Change", "SetupPlan", "plan_setup"]


@dataclass(frozen=True, slots=True)
class SetupPlan:
    """The values from which the set-up script is rendered.

    ``family`` is None if nothing is installed on a system without a known package manager. ``environment`` is for the
    daemon, ``proxies`` for it and for what installs it. ``hostname`` and ``group_user`` (the account to add to group
    docker) are None if they do not change. ``unfinished`` are packages whose installation is finished first.
    ``recovery`` is the manifest that remains if the set-up fails and is undone.
    """

    machine: Machine
    source: EngineSource
    config: ConfigPlan
    manifest: Manifest
    recovery: Manifest
    family: Family | None
    init: str
    fresh: bool
    rhel10: bool = False
    environment: tuple[tuple[str, str], ...] = ()
    proxies: tuple[tuple[str, str], ...] = ()
    hostname: str | None = None
    group_user: str | None = None
    firewall: FirewallPlan = field(default_factory=FirewallPlan)
    take_over: bool = False
    unfinished: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    announcements: tuple[str, ...] = ()

    @property
    def variables(self) -> tuple[tuple[str, str], ...]:
        """The daemon's variables; later ones win."""
        return (*self.proxies, *self.environment)

    @property
    def version(self) -> str | None:
        """The requested engine version."""
        return self.machine.engine.version

    @property
    def channel(self) -> str:
        """The channel of Docker's repository."""
        return self.machine.engine.channel


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
    config = plan_config(machine, facts, previous, fresh=fresh)
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
    plan = replace(plan, manifest=_manifest(plan, facts, previous))
    plan = replace(plan, recovery=_recovery(plan, previous))
    changes = (*_certificate_changes(plan, previous, renewals), *_changes(plan, facts, previous, former))
    plan = replace(plan, changes=(*changes, *_restart(plan, facts, changes)))
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


def proxies_of(spec: EngineSpec) -> tuple[tuple[str, str], ...]:
    """Return proxy variables in both spellings: dockerd reads either, curl and apt the lower-case one."""
    given = (
        ("http_proxy", spec.http_proxy),
        ("https_proxy", spec.https_proxy),
        ("no_proxy", ",".join(spec.no_proxy)),
    )
    pairs = tuple((name, value) for name, value in given if value)
    if any("\n" in value or not passes_on(value) for _, value in pairs):
        raise UsageFault("a proxy address holds a control character")
    return (*pairs, *((name.upper(), value) for name, value in pairs))


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
    docker = plan.source.kind == "docker"
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
        environment=_environment_digest(plan.machine.id, plan.environment, plan.proxies),
        environment_file=ENVIRONMENT_FILE if plan.variables else None,
    )


def _members(previous: Manifest | None, user: str | None) -> tuple[str, ...]:
    """Return the accounts added to group docker, now or before; a former login is removed with the machine."""
    return tuple(dict.fromkeys((*(previous.members if previous else ()), *([user] if user else []))))


def _environment_digest(machine_id: str, *pairs: tuple[tuple[str, str], ...]) -> str:
    """Return a digest of the daemon's environment, whose values may be secret."""
    return hashlib.sha256(json.dumps([machine_id, *pairs]).encode()).hexdigest()


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
    )


def _changes(
    plan: SetupPlan, facts: HostFacts, previous: Manifest | None, former: EngineSpec | None
) -> tuple[Change, ...]:
    return (
        *_unfinished_changes(plan),
        *_package_changes(plan, facts),
        *_config_changes(plan, previous),
        *_environment_changes(plan, previous, former),
        *_host_changes(plan, facts),
    )


def _unfinished_changes(plan: SetupPlan) -> list[Change]:
    if not plan.unfinished:
        return []
    return [Change(f"finish the installation of {', '.join(plan.unfinished)}", "dpkg was interrupted")]


def _package_changes(plan: SetupPlan, facts: HostFacts) -> list[Change]:
    source = plan.source
    if facts.extras:
        return [Change(f"install {', '.join(facts.extras)}", "their installation after the engine was interrupted")]
    if source.kind == "none" or facts.engine is not None:
        return []
    reason = source.title + (f": {source.reason}" if source.reason else "")
    found = [Change(f"install {', '.join(source.packages) or 'an engine'}", f"from {reason}")]
    if source.kind == "docker" and not source.own_repo:
        found.insert(0, Change(f"add the package source {source.place}", "the engine comes from there"))
    if source.extras:
        found.append(Change(f"install {', '.join(source.extras)} afterwards", "the engine uses them"))
    if source.kind == "docker" or plan.version:
        found.append(Change(f"hold {', '.join(source.packages)}", "an unattended upgrade would restart the engine"))
    return found


def _config_changes(plan: SetupPlan, previous: Manifest | None) -> list[Change]:
    config, port = plan.config, plan.machine.engine.port
    found = [_config_change(key, config) for key in config.changed]
    if previous is None or previous.port != port or previous.id != plan.machine.id:
        how = "a systemd drop-in" if config.by_flag else f"hosts in {config.path}"
        why = f"clients reach the engine there over TLS ({how})"
        found.append(Change(f"listen on {config.listen}", why, effects=(*RESTARTING, Effect.OPEN_PORT)))
        files = "place ca.pem, server.pem and server-key.pem in /etc/docker/pymachine"
        found.append(Change(files, "TLS", effects=RESTARTING))
    return found


def _config_change(key: str, config: ConfigPlan) -> Change:
    if key in config.nulls:
        what, why = (
            f"remove {key} from {config.path}",
            "dockerd does not start if a flag and this key are both set, even to null",
        )
    elif key in TLS_KEYS and config.protection:
        what, why = f"remove {key} from {config.path}", "it moves to the unit, beside the socket that it protects"
    else:
        what, why = f"set {key} in {config.path}", _why(key)
    return Change(what, why, Aspect.CONFIG, RESTARTING, config.changed[key])


def _environment_changes(plan: SetupPlan, previous: Manifest | None, former: EngineSpec | None) -> list[Change]:
    """Return changes compared with the record and with the host's last environment, since either may be outdated."""
    ours = _environment_digest(plan.machine.id, plan.environment, plan.proxies)
    theirs = previous.environment if previous else None
    before = _environment_of(former or plan.machine.engine)
    if before != (plan.environment, plan.proxies) or theirs not in (None, ours):
        return [Change("set the environment of the engine", "as requested", effects=RESTARTING)]
    if plan.variables and previous and previous.environment_file is None:
        what = f"move the environment of the engine to {ENVIRONMENT_FILE}"
        return [Change(what, "every account of the host can read its unit", effects=RESTARTING)]
    return []


def _environment_of(spec: EngineSpec) -> tuple[tuple[tuple[str, str], ...], ...]:
    return checks.environment_pairs(spec.env), proxies_of(spec)


def _certificate_changes(plan: SetupPlan, previous: Manifest | None, renewals: Sequence[Change]) -> list[Change]:
    """Return certificates that are reissued, or that an earlier run issued but did not install."""
    issued, placed = plan.machine.certificates, previous.server if previous else None
    if renewals or issued is None or placed is None or placed == issued.server:
        return list(renewals)
    why = "the engine uses another one"
    return [Change("place the server certificate on record", why, Aspect.CERTIFICATES, RESTARTING)]


def _restart(plan: SetupPlan, facts: HostFacts, changes: Sequence[Change]) -> list[Change]:
    causes = {change.aspect for change in changes if Effect.RESTART_ENGINE in change.effects}
    if not causes:
        return []
    stops = (Effect.STOP_CONTAINERS,) if stops_containers(facts.engine, plan.config.live_restore) else ()
    why = f"it applies its new {'certificate' if causes == {Aspect.CERTIFICATES} else 'configuration'}"
    return [Change("restart the engine once", why, Aspect.RESTART, (*RESTARTING, *stops))]


def _why(key: str) -> str:
    if key in TLS_KEYS or key == "hosts":
        return "only clients with a certificate of this machine are accepted"
    return "containers keep running while the engine restarts" if key == "live-restore" else "as requested"


def _host_changes(plan: SetupPlan, facts: HostFacts) -> list[Change]:
    found = []
    if plan.hostname and plan.hostname != facts.hostname:
        why = f"it is {facts.hostname or 'unknown'} now"
        found.append(Change(f"set the host name to {plan.hostname}", why, Aspect.HOST))
    if plan.group_user:
        what = f"add {plan.group_user} to group docker"
        found.append(Change(what, "the login account may use the engine", Aspect.HOST))
    if closes := plan.firewall.closes:
        found.append(
            Change(f"close TCP port {closes.port} in firewalld{_in(closes)}", "it was opened before", Aspect.HOST)
        )
    if opens := plan.firewall.opens:
        what = f"open TCP port {opens.port} in firewalld{_in(opens)}"
        found.append(Change(what, "clients reach the engine there", Aspect.HOST, (Effect.OPEN_PORT,)))
    return found


def _in(opening: FirewalldPort) -> str:
    return f", zone {opening.zone}" if opening.zone else ""


def _announcements(plan: SetupPlan, facts: HostFacts) -> tuple[str, ...]:
    """Return what the owner should know in advance; containers only if the engine restarts."""
    restarts = Effect.RESTART_ENGINE in effects_of(plan.changes)
    found = list(fate_of_containers(facts.engine, plan.config.live_restore)) if restarts else []
    if plan.source.reason:
        found.insert(0, f"engine: {plan.source.title} ({plan.source.reason})")
    found += [
        f"the engine listens on {where} without TLS authentication, as before" for where in plan.config.open_before
    ]
    return (*found, *beside(facts.neighbours), *told_of_ufw(facts.firewall, plan.machine.engine.port))
