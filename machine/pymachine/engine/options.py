"""The user's engine options as keys of daemon.json; the flags are docker-machine's. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from pymachine.engine.daemon_config import Config, merge, set_values, shown
from pymachine.engine.daemon_keys import NUMBERS, check_keys
from pymachine.engine.exec_start import SWITCHES
from pymachine.errors import ValueFault
from pymachine.options.engine import EngineSpec
from pymachine.options.fields import option_fields

TLS_FOLDER = "/etc/docker/pymachine"
ENVIRONMENT_FILE = f"{TLS_FOLDER}/environment"  # the daemon's variables; it goes with the folder
TLS_KEYS: Config = {
    "tlsverify": True,
    "tlscacert": f"{TLS_FOLDER}/ca.pem",
    "tlscert": f"{TLS_FOLDER}/server.pem",
    "tlskey": f"{TLS_FOLDER}/server-key.pem",
}

# dockerd's repeatable flags: on the command line in the singular, in the file in the plural.
LIST_KEYS = {
    "label": "labels",
    "host": "hosts",
    "insecure-registry": "insecure-registries",
    "registry-mirror": "registry-mirrors",
    "dns": "dns",
    "dns-opt": "dns-opts",
    "dns-search": "dns-search",
    "storage-opt": "storage-opts",
    "exec-opt": "exec-opts",
    "authorization-plugin": "authorization-plugins",
    "node-generic-resource": "node-generic-resources",
    "allow-nondistributable-artifacts": "allow-nondistributable-artifacts",
    "cdi-spec-dir": "cdi-spec-dirs",
}
_OBJECT_KEYS = {
    "log-opt": "log-opts",
    "default-ulimit": "default-ulimits",
    "add-runtime": "runtimes",
    "feature": "features",
    "default-address-pool": "default-address-pools",
}
_ALIASES = {"D": "debug", "l": "log-level", "s": "storage-driver", "b": "bridge", "G": "group", "H": "host",
            "g": "data-root", "graph": "data-root"}  # fmt: skip
_PROXIES = frozenset({"http-proxy", "https-proxy", "no-proxy"})  # in the file they are members of one key
OURS = frozenset({"hosts", "tls", "config-file", *TLS_KEYS})


def key_of_flag(flag: str) -> str:
    """Return the daemon.json key that corresponds to a flag of dockerd."""
    return LIST_KEYS.get(flag) or _OBJECT_KEYS.get(flag) or flag


def wanted_config(spec: EngineSpec, driver: str) -> Config:
    """Return all requested options as one daemon.json, without the keys that make the engine listen.

    Raises ``ValueFault``, with the field and the place in its list, for an option that cannot be read, a key or value
    that dockerd would not take, one that is pymachine's own to set, or two that contradict each other.
    """
    wanted: Config = {}
    for field, index, value, read in _pieces(spec):
        try:
            wanted = _with(wanted, _checked(read(value)), value)
        except ValueFault as fault:
            raise fault.of(field, index) from None
    return _labelled(wanted, driver)


def _pieces(spec: EngineSpec) -> Iterator[tuple[str, int | None, Any, Callable[[Any], Config]]]:
    """Yield what goes into daemon.json item by item: the field, the place in its list, the value, and its reader."""
    yield "config", None, spec.config, lambda config: _strings_in_log_opts(set_values(config))
    for number, opt in enumerate(spec.opts):
        yield "opts", number, opt, config_of_flag
    for option in option_fields(EngineSpec):
        value, many = getattr(spec, option.name), option.shape.many
        if option.daemon_key is None or value in (None, ()):
            continue
        for index, item in _numbered(value, many):
            yield option.name, index, item, partial(_under, option.daemon_key, many)


def _numbered(value: Any, many: bool) -> Iterator[tuple[int | None, Any]]:
    if many:
        yield from enumerate(value)
    else:
        yield None, value


def _under(key: str, many: bool, item: Any) -> Config:
    return {key: [item] if many else item}


def _checked(config: Config) -> Config:
    check_keys(config)
    if owned := sorted(OURS & config.keys()):
        raise ValueFault(
            owned[0],
            "is set by pymachine itself",
            hint="the engine's port is an option of its own; certificates are made by pymachine",
        )
    return config


def _labelled(wanted: Config, driver: str) -> Config:
    """Add the label with the driver's name, as docker-machine did, unless the user set it."""
    labels = list(wanted.get("labels", []))
    if not any(str(label).startswith("provider=") for label in labels):
        labels.append(f"provider={driver}")
    return {**wanted, "labels": labels}


def _with(wanted: Config, more: Config, value: Any) -> Config:
    merged = merge(wanted, more, {})
    if merged.conflicts:
        first, text = merged.conflicts[0], value if isinstance(value, str) else None
        raise ValueFault(text, f"contradicts another engine option: {first.key} is {shown(first.present)} there")
    return merged.config


def may_repeat(flag: str) -> bool:
    """Whether each of several values of a flag counts; of any other flag the last one does."""
    return flag in LIST_KEYS or flag in _OBJECT_KEYS


def config_of_flag(opt: str) -> Config:
    """Return ``flag=value`` of dockerd's command line as a daemon.json. Raises ``ValueFault``."""
    return _strings_in_log_opts(_from_opt(opt))


def _from_opt(opt: str) -> Config:
    name, equals, value = opt.strip().lstrip("-").partition("=")
    name = _ALIASES.get(name, name)
    if not name or not name.replace("-", "").isalnum():
        raise ValueFault(opt, "is not of the form flag=value")
    if name in SWITCHES:
        return {name: _switch(opt, value if equals else "true")}
    if not equals:
        raise ValueFault(opt, "needs a value", hint=f"write {name}=VALUE")
    if name in LIST_KEYS:
        return {LIST_KEYS[name]: [value]}
    if name in _OBJECT_KEYS:
        return {_OBJECT_KEYS[name]: _object(name, opt, value)}
    if name in _PROXIES:
        return {"proxies": {name: value}}
    return {name: _number(opt, value) if name in NUMBERS else value}


def _switch(opt: str, value: str) -> bool:
    if value.lower() not in ("true", "false", "1", "0"):
        raise ValueFault(opt, "needs true or false as its value")
    return value.lower() in ("true", "1")


def _number(opt: str, value: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise ValueFault(opt, "needs a whole number as its value") from None


def _object(name: str, opt: str, value: str) -> Any:
    if name == "default-address-pool":
        return [_address_pool(opt, value)]
    key, equals, inner = value.partition("=")
    if not key or not equals:
        raise ValueFault(opt, f"is not of the form {name}=NAME=VALUE")
    if name == "default-ulimit":
        return {key: _ulimit(opt, key, inner)}
    if name == "add-runtime":
        return {key: {"path": inner}}
    return {key: _switch(opt, inner) if name == "feature" else inner}


def _ulimit(opt: str, name: str, value: str) -> Config:
    soft, _, hard = value.partition(":")
    return {"Name": name, "Soft": _number(opt, soft), "Hard": _number(opt, hard or soft)}


def _address_pool(opt: str, value: str) -> Config:
    parts = dict(part.partition("=")[::2] for part in value.split(","))
    if set(parts) != {"base", "size"}:
        raise ValueFault(opt, "is not of the form default-address-pool=base=NETWORK,size=BITS")
    return {"base": parts["base"], "size": _number(opt, parts["size"])}


def _strings_in_log_opts(config: Config) -> Config:
    """Convert values of log-opts to strings: dockerd accepts only strings, but people write ``"max-file": 3``."""
    opts = config.get("log-opts")
    if not isinstance(opts, dict):
        return config
    return {**config, "log-opts": {key: _text(value) for key, value in opts.items()}}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
