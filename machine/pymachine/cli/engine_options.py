"""The engine's options on the command line, checked before anything is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from pymachine.addresses import check_port
from pymachine.errors import CheckFailed, UsageFault
from pymachine.model import EngineSpec
from pymachine.options.values import (
    PROXIES,
    SOURCES,
    check_assignment,
    check_pair,
    check_registry,
    check_san,
    check_source,
    check_url,
    check_version,
    check_word,
    is_known_source,
    split_hosts,
)
from pymachine.redaction import hidden_user
from pymachine.user_path import user_path

SCRIPT_LIMIT = 1 << 20  # bytes

CLASSIC_SWARM = (
    "--swarm", "--swarm-master", "--swarm-experimental", "--swarm-image", "--swarm-discovery", "--swarm-addr",
    "--swarm-strategy", "--swarm-host", "--swarm-opt", "--swarm-join-opt",
)  # fmt: skip

VERSION = click.option("--engine-version", "version", metavar="VERSION", help="Engine version, e.g. 26.1.")


def engine_options(*, new: bool) -> Sequence[Callable[[Any], Any]]:
    """Return the engine's options; those of a ``new`` machine have defaults and variables, and tell them."""

    def note(text: str) -> str:
        return f"  [{text}]" if new else ""

    return (
        click.option("--engine-install", "install", metavar="SOURCE",
                     help="Source of the engine: auto, docker (Docker's repository), distro, none (already "
                     "installed), the URL of a script, or a script file."
                     + note("default: auto; env: PYMACHINE_ENGINE_INSTALL")),
        click.option("--engine-install-url", "install_url", metavar="URL",
                     help="Install script; docker-machine's name for --engine-install URL."
                     + note("env: MACHINE_DOCKER_INSTALL_URL")),
        VERSION,
        click.option("--engine-channel", "channel", metavar="CHANNEL",
                     help="Channel of Docker's repository." + note("default: stable")),
        click.option("--engine-repo-url", "repo_url", metavar="URL", help="Mirror of Docker's package repository."),
        click.option("--engine-port", "port", type=int, metavar="PORT",
                     help="TCP port of the engine." + note("default: 2376")),
        click.option("--engine-opt", "opts", multiple=True, metavar="FLAG=VALUE", help="Option of the daemon."),
        click.option("--engine-label", "labels", multiple=True, metavar="KEY=VALUE", help="Label of the engine."),
        click.option("--engine-env", "env", multiple=True, metavar="KEY=VALUE",
                     help="Environment variable of the daemon."),
        click.option("--engine-insecure-registry", "insecure_registries", multiple=True, metavar="HOST[:PORT]",
                     help="Registry without verified TLS."),
        click.option("--engine-registry-mirror", "registry_mirrors", multiple=True, metavar="URL",
                     help="Mirror of Docker Hub." + note("env: ENGINE_REGISTRY_MIRROR")),
        click.option("--engine-storage-driver", "storage_driver", metavar="DRIVER",
                     help="Storage driver of the daemon."),
        click.option("--engine-config", "config", metavar="FILE", help="File to merge into the host's daemon.json."),
        click.option("--tls-san", "sans", multiple=True, metavar="NAME",
                     help="Additional name or address in the server certificate."),
        click.option("--http-proxy", "http_proxy", metavar="URL", help="Proxy of the engine and its installation."),
        click.option("--https-proxy", "https_proxy", metavar="URL", help="Proxy of the engine and its installation."),
        click.option("--no-proxy-for", "no_proxy", multiple=True, metavar="HOST,...",
                     help="Hosts to reach without a proxy."),
        click.option("--set-hostname/--keep-hostname", "set_hostname", default=None,
                     help="Set the host name to the machine's name."
                     + note("default: only where no engine runs yet")),
    )  # fmt: skip


def refuse_swarm_flags(flags: Sequence[str]) -> list[click.Option]:
    """Return hidden options for classic Swarm's flags; each explains what took its place."""
    return [
        click.Option([flag], hidden=True, expose_value=False, is_flag=True, callback=_refuse_swarm) for flag in flags
    ]


def _refuse_swarm(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        raise UsageFault(
            f"{param.opts[0]} is of classic Swarm, which Docker removed from its engine in 23.0",
            hint="create the machines without it, then use Swarm mode: `pymachine swarm create NAME`",
        )


def spec_changes(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of ``EngineSpec`` that the options set, checked. Raises ``UsageFault``."""
    from pymachine.engine.options import wanted_config

    found = {key: value for key, value in given.items() if value not in (None, ())}
    changes = {key: _CHECKS[key](value) for key, value in found.items() if key in _CHECKS}
    source = found.get("install") or found.get("install_url")
    changes |= _source(source) if source else {}
    wanted_config(EngineSpec(**changes), "")  # whether they make sense, for whatever driver
    return changes


def new_spec(given: Mapping[str, Any], environ: Mapping[str, str]) -> EngineSpec:
    """Return the whole specification of a new machine: options, then variables. Raises ``UsageFault``."""
    given = dict(given)
    if not given.get("install") and not given.get("install_url"):
        given["install"] = environ.get("PYMACHINE_ENGINE_INSTALL") or environ.get("MACHINE_DOCKER_INSTALL_URL")
    if not given.get("registry_mirrors"):
        mirrors = environ.get("ENGINE_REGISTRY_MIRROR", "")
        given["registry_mirrors"] = tuple(part for part in mirrors.split(",") if part)
    return EngineSpec(**spec_changes(given))


def defaults_of(ctx: click.Context, flags: Sequence[str]) -> dict[str, Any]:
    """Return the fields of ``EngineSpec`` behind these flags of the command, as in a new machine.

    ``flags`` come with or without their dashes. Raises ``UsageFault`` for one that is not an engine option.
    """
    settable = {*_CHECKS, "install", "install_url"}
    known = {
        flag[2:]: str(param.name) for param in ctx.command.params if param.name in settable for flag in param.opts
    }
    for flag in flags:
        if flag.removeprefix("--") not in known:
            raise UsageFault(f"--reset: {flag!r} is not an engine option", hint=f"it has: {', '.join(known)}")
    new = EngineSpec()
    fields = [name for flag in flags for name in _fields_behind(known[flag.removeprefix("--")])]
    return {name: getattr(new, name) for name in fields}


def _fields_behind(option: str) -> tuple[str, ...]:
    return ("install", "install_script") if option in ("install", "install_url") else (option,)


def labels_of(pairs: Sequence[str]) -> dict[str, str]:
    """Return machine labels by key. Raises ``UsageFault``."""
    return dict(check_pair("--label", text) for text in pairs)


def _source(text: str) -> dict[str, Any]:
    if is_known_source(text):
        check_source(text, "--engine-install", hidden_user)
        return {"install": text, "install_script": None}
    path = user_path(text)
    try:
        with path.open(encoding="utf-8") as file:
            script = file.read(SCRIPT_LIMIT)
    except (OSError, UnicodeDecodeError) as error:
        reason = (getattr(error, "strerror", None) or "it is not text").lower()
        raise UsageFault(
            f"--engine-install {hidden_user(text)}: {reason}",
            hint=f"give {', '.join(SOURCES)}, an https:// URL, or the file of a script",
        ) from None
    return {"install": f"script:{path.name}", "install_script": script}


def _config(text: str) -> dict[str, Any]:
    from pymachine.engine.daemon_config import parse_config

    try:
        return parse_config(user_path(text).read_bytes(), text)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageFault(f"--engine-config {text}: {reason}", hint="give the path of a daemon.json") from None
    except CheckFailed as error:
        raise UsageFault(f"--engine-config {error.message}", hint="correct the file; nothing was made") from None


def _label(text: str) -> str:
    return "=".join(check_pair("--engine-label", text))


def _variable(text: str) -> str:
    return check_assignment(text, "--engine-env")


def _all(check: Callable[[str], str]) -> Callable[[Sequence[str]], tuple[str, ...]]:
    return lambda texts: tuple(check(text) for text in texts)


_CHECKS: Mapping[str, Callable[[Any], Any]] = {
    "version": check_version,
    "channel": check_word,
    "repo_url": check_url("--engine-repo-url", shown=hidden_user),
    "port": lambda port: check_port(port, "engine port"),
    "opts": tuple,
    "labels": _all(_label),
    "env": _all(_variable),
    "insecure_registries": _all(check_registry("--engine-insecure-registry", hidden_user)),
    "registry_mirrors": _all(check_url("--engine-registry-mirror", shown=hidden_user)),
    "storage_driver": check_word,
    "config": _config,
    "sans": _all(check_san),
    "http_proxy": check_url("--http-proxy", PROXIES, hidden_user),
    "https_proxy": check_url("--https-proxy", PROXIES, hidden_user),
    "no_proxy": split_hosts,
    "set_hostname": bool,
}
