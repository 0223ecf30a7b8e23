"""A host that docker-machine set up: the drop-in by which it starts dockerd, and what becomes of it. Pure.

The options on its command line move to daemon.json, where they are the host's own. The drop-in is set aside, and put
back when the machine is removed. What the running daemon was given counts; the drop-in's text only says whose it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from pymachine.engine.daemon_config import Config, merge, withdraw
from pymachine.engine.daemon_keys import KEYS
from pymachine.engine.exec_start import UnitSetting, assigned_variables, exec_start, unit_settings
from pymachine.engine.host_facts import EngineFacts, HostFacts
from pymachine.engine.manifest import Manifest
from pymachine.engine.obstacles import drop_in_of, machine_drop_in_of
from pymachine.engine.options import TLS_KEYS, config_of_flag, may_repeat
from pymachine.errors import CheckFailed, ValueFault

WRITTEN = frozenset({"ExecStart", "Environment"})  # the settings that docker-machine writes
_PLAIN = re.compile(r"[A-Za-z0-9_.,:/@\[\]=+-]+")  # a word that systemd and a shell read as it is
_EVERYWHERE = re.compile(r"tcp://(\[::\]|0\.0\.0\.0|):(\d+)")
_NO_KEYS = frozenset({"host", "config-file", "tls", *TLS_KEYS})


@dataclass(frozen=True, slots=True)
class MachineDropIn:
    """docker-machine's drop-in at ``path``.

    ``config`` are the options of dockerd that move to daemon.json, under their keys there. ``command`` are the words
    that stay on its command line: the program, its unix sockets, its configuration file. ``authorities`` is the file
    of those whose clients the engine accepts, empty if that is ours by now.
    """

    path: str
    config: Config
    command: tuple[str, ...]
    authorities: str = ""

    def told(self, config_path: str) -> str:
        """Return a sentence on what happens to it."""
        return f"docker-machine set this engine up; its options move from {self.path} to {config_path}"


def find_drop_in(facts: HostFacts, previous: Manifest | None, variables: Iterable[str]) -> MachineDropIn | None:
    """Return docker-machine's drop-in where it decides how the engine starts, None where there is none.

    ``variables`` are the names of those that the engine will get. Raises ``CheckFailed`` if the drop-in has something
    that would be lost, or if what the engine was started with is not known.
    """
    engine = facts.engine
    if engine is None or facts.init != "systemd":
        return None
    path = machine_drop_in_of(engine.unit)
    command, origin = exec_start(engine.unit_text, without=drop_in_of(engine.unit))
    if origin != path:
        return None
    if runs_ours(engine):
        found = _interrupted(path, previous)
    elif not _is_theirs(engine):
        return None
    else:
        found = _running(path, command, engine, previous)
    settings = [setting for setting in unit_settings(engine.unit_text) if setting.path == path]
    _check_settings(path, settings, variables)
    return found


def shared_with_record(config: Config, requested: Config) -> tuple[Config, Config]:
    """Split options of the drop-in into those that are on record, and those that only the host has."""
    own = withdraw(config, requested)
    return withdraw(config, own), own


def joined(config: Config, drop_in: MachineDropIn | None) -> Config:
    """Return a daemon.json with the options of the drop-in; a value that is in the file already stays."""
    return merge(config, drop_in.config, {}).config if drop_in else dict(config)


def listener(engine: EngineFacts | None, port: int) -> str | None:
    """Return the engine's socket on all addresses of a port, as its command line names it."""
    hosts = engine.flags.get("host", []) if engine else []
    return next((host for host in hosts if (found := _EVERYWHERE.fullmatch(host)) and found[2] == str(port)), None)


def started_with(facts: HostFacts, command: tuple[str, ...]) -> HostFacts:
    """Return the facts as if the engine had been started with a command line; with none they stay."""
    return replace(facts, engine=replace(facts.engine, cmdline=command)) if command and facts.engine else facts


def runs_ours(engine: EngineFacts) -> bool:
    """Whether the running daemon was started with the certificates of a set-up by pymachine."""
    return bool(engine.cmdline) and engine.flags.get("tlskey") == [TLS_KEYS["tlskey"]]


def _is_theirs(engine: EngineFacts) -> bool:
    """docker-machine's command line has a TCP socket, and names the files that protect it."""
    flags = engine.flags
    tls = flags.get("tlsverify") == ["true"] and {"tlscacert", "tlscert", "tlskey"} <= flags.keys()
    return tls and any(host.startswith("tcp:") for host in flags.get("host", []))


def _running(path: str, command: str, engine: EngineFacts, previous: Manifest | None) -> MachineDropIn:
    """Read the command line of the running daemon."""
    if not engine.cmdline:
        if previous and previous.command:  # a set-up was cut off, and knows it
            return _interrupted(path, previous)
        raise CheckFailed(
            f"the engine that docker-machine set up does not run, so its options are not known ({path})",
            hint="start it on the host (systemctl start docker), then try again",
        )
    if _is_outdated(command, engine):
        raise CheckFailed(
            f"the engine was started with another command line than {path} has now",
            hint="restart it on the host (systemctl daemon-reload; systemctl restart docker), then try again",
        )
    return MachineDropIn(path, _config(path, engine), _kept(path, engine), engine.flags["tlscacert"][-1])


def _interrupted(path: str, previous: Manifest | None) -> MachineDropIn:
    """Go on with a set-up that was cut off: its manifest has the options, which the running daemon may lack."""
    if previous is None or not previous.command:
        raise CheckFailed(
            f"{path} was put on the host after its set-up by pymachine",
            hint="remove that file, or remove this machine and import the one of docker-machine",
        )
    return MachineDropIn(path, dict(previous.moved), tuple(previous.command))


def _is_outdated(command: str, engine: EngineFacts) -> bool:
    """Whether it has other words than the daemon was given; one that systemd has to expand is not compared."""
    return not set(command) & set("\"'\\$%") and tuple(command.split()[1:]) != engine.cmdline[1:]


def _kept(path: str, engine: EngineFacts) -> tuple[str, ...]:
    """Return the words that stay: not docker-machine's socket, which is one on all addresses."""
    flags = engine.flags
    hosts = [host for host in flags.get("host", []) if not _EVERYWHERE.fullmatch(host)]
    files = [f"--config-file={file}" for file in flags.get("config-file", [])[-1:]]
    command = (engine.cmdline[0], *(word for host in hosts for word in ("-H", host)), *files)
    odd = [word for word in command if not _PLAIN.fullmatch(word)]
    if odd:
        raise CheckFailed(f"{path} has a word that cannot be kept: {odd[0]!r}", hint="change it on the host")
    return command


def _config(path: str, engine: EngineFacts) -> Config:
    """Return the options as a daemon.json. Raises ``CheckFailed`` with all that have no place there."""
    config: Config = {}
    unknown = []
    for flag, values in engine.flags.items():
        for value in () if flag in _NO_KEYS else values if may_repeat(flag) else values[-1:]:
            option = _option(flag, value)
            if option is None:
                unknown.append(f"--{flag}")
            else:
                config = merge(config, option, {}).config
    if unknown:
        raise CheckFailed(
            f"{path} gives dockerd options that daemon.json cannot hold: {', '.join(dict.fromkeys(unknown))}",
            hint="remove them there, restart the engine, then try again; nothing was changed",
        )
    return config


def _option(flag: str, value: str) -> Config | None:
    """Return an option as a daemon.json, None if it has no place there."""
    try:
        config = config_of_flag(f"{flag}={value}")
    except ValueFault:
        return None
    return config if config.keys() <= KEYS.keys() else None


def _check_settings(path: str, settings: Sequence[UnitSetting], variables: Iterable[str]) -> None:
    """Refuse a drop-in with settings that would be lost with it. Raises ``CheckFailed``."""
    others = [setting.name for setting in settings if setting.name not in WRITTEN]
    if others:
        raise CheckFailed(
            f"{path} has settings that docker-machine does not write: {', '.join(dict.fromkeys(others))}",
            hint="move them to a drop-in of their own, then try again; nothing was changed",
        )
    missing = sorted(set(assigned_variables(settings)) - set(variables))
    if missing:
        raise CheckFailed(
            f"{path} gives the engine variables that are not on record: {', '.join(missing)}",
            hint=f"give their values (--engine-env {missing[0]}=VALUE), or remove them there; nothing was changed",
        )
