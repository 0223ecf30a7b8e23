"""What a set-up changes on its host: what, why, with which effect. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from pymachine.engine import checks
from pymachine.engine.configuration import ConfigPlan
from pymachine.engine.effects import RESTARTING, Aspect, Change, Effect
from pymachine.engine.environment import environment_digest, proxies_of
from pymachine.engine.host_facts import HostFacts
from pymachine.engine.live_restore import stops_containers
from pymachine.engine.machine_drop_in import listener, runs_ours
from pymachine.engine.manifest import FirewalldPort, Manifest
from pymachine.engine.options import ENVIRONMENT_FILE, TLS_KEYS
from pymachine.engine.setup_plan import SetupPlan
from pymachine.model import EngineSpec


def host_changes(
    plan: SetupPlan, facts: HostFacts, previous: Manifest | None, former: EngineSpec | None
) -> tuple[Change, ...]:
    """Return the changes of packages, configuration, environment and system; ``former`` is the engine on record."""
    return (
        *_unfinished_changes(plan),
        *_package_changes(plan, facts),
        *_config_changes(plan, facts, previous),
        *_environment_changes(plan, previous, former),
        *_system_changes(plan, facts),
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


def _config_changes(plan: SetupPlan, facts: HostFacts, previous: Manifest | None) -> list[Change]:
    config, port = plan.config, plan.machine.engine.port
    found = [_config_change(key, config) for key in config.changed]
    if config.drop_in:
        what, why = f"set {config.drop_in.path} aside", "docker-machine made it; `pymachine rm` puts it back"
        found.append(Change(what, why, effects=RESTARTING))
    elif config.command and facts.engine and facts.engine.cmdline and not runs_ours(facts.engine):
        why = "it still has that of docker-machine: a set-up was cut off"
        found.append(Change("start the engine with its new command line", why, effects=RESTARTING))
    if previous is None or previous.port != port or previous.id != plan.machine.id:
        if not config.drop_in or listener(facts.engine, port) is None:
            found.append(_listen_change(config))
        files = "place ca.pem, server.pem and server-key.pem in /etc/docker/pymachine"
        found.append(Change(files, "TLS", effects=RESTARTING))
    return found


def _listen_change(config: ConfigPlan) -> Change:
    how = "a systemd drop-in" if config.by_flag else f"hosts in {config.path}"
    why = f"clients reach the engine there over TLS ({how})"
    return Change(f"listen on {config.listen}", why, effects=(*RESTARTING, Effect.OPEN_PORT))


def _config_change(key: str, config: ConfigPlan) -> Change:
    if key in config.nulls:
        what, why = (
            f"remove {key} from {config.path}",
            "dockerd does not start if a flag and this key are both set, even to null",
        )
    elif key in TLS_KEYS and config.protection:
        what, why = f"remove {key} from {config.path}", "it moves to the unit, beside the socket that it protects"
    elif config.drop_in and key in config.drop_in.config:
        what, why = f"set {key} in {config.path}", f"it is a flag in {config.drop_in.path} now"
    else:
        what, why = f"set {key} in {config.path}", _why(key)
    return Change(what, why, Aspect.CONFIG, RESTARTING, config.changed[key])


def _environment_changes(plan: SetupPlan, previous: Manifest | None, former: EngineSpec | None) -> list[Change]:
    """Return changes compared with the record and with the host's last environment, since either may be outdated."""
    ours = environment_digest(plan.machine.id, plan.environment, plan.proxies)
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


def certificate_changes(plan: SetupPlan, previous: Manifest | None, renewals: Sequence[Change]) -> list[Change]:
    """Return certificates that are reissued, or that an earlier run issued but did not install."""
    issued, placed = plan.machine.certificates, previous.server if previous else None
    if renewals or issued is None or placed is None or placed == issued.server:
        return list(renewals)
    why = "the engine uses another one"
    return [Change("place the server certificate on record", why, Aspect.CERTIFICATES, RESTARTING)]


def restart_changes(plan: SetupPlan, facts: HostFacts, changes: Sequence[Change]) -> list[Change]:
    """Return the one restart of the engine that these changes come to, none where none of them needs it."""
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


def _system_changes(plan: SetupPlan, facts: HostFacts) -> list[Change]:
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
