"""The files of a host that a set-up or a removal will write, as far as they are known in advance. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from pymachine.engine.configuration import ConfigPlan
from pymachine.engine.host_facts import HostFacts
from pymachine.engine.obstacles import (
    APT_FILES,
    CERTIFICATES,
    CONF_D,
    ETC_HOSTNAME,
    ETC_HOSTS,
    MANIFEST,
    RPM_FILES,
    drop_in_of,
)
from pymachine.engine.sources import EngineSource


def files_of_setup(
    config: ConfigPlan, facts: HostFacts, source: EngineSource, *, hostname: str | None, environment: bool
) -> list[str]:
    """Return the paths.

    Files that have their content already are left out; ``environment``: the daemon gets variables.
    """
    return [
        MANIFEST,
        *CERTIFICATES,
        *daemon_json(config.path, facts, (config.before, config.final, config.after)),
        *_of_unit(facts, environment=environment),
        *([config.drop_in.path] if config.drop_in else ()),
        *(_of_name(hostname, facts) if hostname else ()),
        *_of_packages(source, facts),
    ]


def daemon_json(path: str, facts: HostFacts, texts: Iterable[bytes | None]) -> list[str]:
    """Return the path of daemon.json if one of these texts (None for no file) differs from the host's."""
    return [path] if any(text not in (None, facts.daemon_json) for text in texts) else []


def _of_unit(facts: HostFacts, *, environment: bool) -> list[str]:
    if facts.init == "systemd":
        return [drop_in_of(facts.engine.unit if facts.engine else "")]
    return [CONF_D] if environment else []


def _of_name(hostname: str, facts: HostFacts) -> list[str]:
    named = any(line.split()[:2] == ["127.0.1.1", hostname] for line in facts.etc_hosts.splitlines())
    return [
        *([] if facts.etc_hostname == f"{hostname}\n" else [ETC_HOSTNAME]),
        *([] if named else [ETC_HOSTS]),
    ]


def _of_packages(source: EngineSource, facts: HostFacts) -> tuple[str, ...]:
    if source.kind != "docker" or source.own_repo or facts.engine is not None:
        return ()
    return APT_FILES if source.repo and source.repo.suite else RPM_FILES


def loopback_line(etc_hosts: str, hostname: str) -> str | None:
    """Return the line of 127.0.1.1 that names the host, None where there is none (``engine/_hosts.sh.j2``)."""
    for line in etc_hosts.splitlines():
        address, *names = line.partition("#")[0].split() or ("",)
        if address == "127.0.1.1" and any(_is_own(name, hostname) for name in names):
            return line
    return None


def _is_own(name: str, hostname: str) -> bool:
    return bool(hostname) and (name == hostname or name.startswith(f"{hostname}.") or hostname.startswith(f"{name}."))
