"""The keys of daemon.json that dockerd knows, and the types of their values. Pure.

From moby's daemon/config/config.go, config_linux.go and daemon/pkg/registry, with keys of older engines. An unknown
key may be one of a newer engine: dockerd itself validates the file on the host before it is used.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any

from pymachine.errors import ValueFault
from pymachine.options.values import check_registry, check_url


class ValueShape(Enum):
    """The type of a value."""

    TEXT = "a text"
    TRUTH = "true or false"
    NUMBER = "a whole number"
    SIZE = "a size, such as 64M"
    TEXTS = "a list of texts"
    TABLE = "a mapping"
    TABLES = "a list of mappings"


_NAMES: Mapping[ValueShape, str] = {
    ValueShape.TEXT: """
        api-cors-header bip bip6 bridge bridge-accept-fwmark cgroup-parent cluster-advertise cluster-store
        config-file containerd containerd-namespace containerd-plugin-namespace containerd-plugins-namespace data-root
        default-cgroupns-mode default-gateway default-gateway-v6 default-init default-ipc-mode default-runtime
        deprecated-key-path exec-root firewall-backend fixed-cidr fixed-cidr-v6 graph group host-gateway-ip
        http-proxy https-proxy init-path ip log-driver log-format log-level metrics-addr no-proxy pidfile resolv-conf
        seccomp-profile storage-driver swarm-default-advertise-addr tlscacert tlscert tlskey userland-proxy-path
        userns-remap
    """,
    ValueShape.TRUTH: """
        allow-direct-routing cri-containerd debug disable-legacy-registry experimental icc init ip-forward
        ip-forward-no-drop ip-masq ip6tables iptables ipv6 live-restore no-new-privileges raw-logs rootless
        selinux-enabled tls tlsverify userland-proxy
    """,
    ValueShape.NUMBER: """
        cpu-rt-period cpu-rt-runtime max-concurrent-downloads max-concurrent-uploads max-download-attempts mtu
        network-control-plane-mtu network-diagnostic-port oom-score-adjust shutdown-timeout swarm-raft-election-tick
        swarm-raft-heartbeat-tick
    """,
    ValueShape.SIZE: "default-shm-size",
    ValueShape.TEXTS: """
        allow-nondistributable-artifacts authorization-plugins cdi-spec-dirs dns dns-opts dns-search exec-opts
        host-gateway-ips hosts insecure-registries labels node-generic-resources registry-mirrors storage-opts
    """,
    ValueShape.TABLE: """
        builder cluster-store-opts default-network-opts default-ulimits features log-opts proxies runtimes
    """,
    ValueShape.TABLES: "default-address-pools",
}
KEYS: Mapping[str, ValueShape] = {name: shape for shape, names in _NAMES.items() for name in names.split()}
NUMBERS = frozenset(name for name, shape in KEYS.items() if shape is ValueShape.NUMBER)
_NEAR = 0.8  # how like a known key another one has to be, to be taken for it: of five letters one may be wrong
_CHECKS: Mapping[str, Callable[[str], str]] = {
    "registry-mirrors": check_url,
    "insecure-registries": check_registry,
}


def check_keys(config: Mapping[str, Any]) -> None:
    """Raise ``ValueFault`` for a key that is nearly a known one, and for a value that dockerd could not read.

    None is a value that is not set.
    """
    for key, value in config.items():
        shape = KEYS.get(key)
        if shape is None:
            _refuse_near(key)
        elif value is not None and not _FITS[shape](value):
            raise ValueFault(None, f"key {key!r} of the daemon's configuration is not {shape.value}: {_shown(value)}")
        elif value is not None and key in _CHECKS:
            _check_items(key, value)


def _check_items(key: str, texts: Sequence[str]) -> None:
    for text in texts:
        try:
            _CHECKS[key](text)
        except ValueFault as fault:
            raise ValueFault(None, f"{key}: {fault.message}", hint=fault.hint) from None


def misfits(config: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each value of a wrong type; None is not set."""
    return [
        f"{key} is {_shown(value)}, dockerd expects {KEYS[key].value}"
        for key, value in config.items()
        if key in KEYS and value is not None and not _FITS[KEYS[key]](value)
    ]


def _refuse_near(key: str) -> None:
    near = difflib.get_close_matches(key, KEYS, 1, _NEAR)
    if near:
        raise ValueFault(None, f"dockerd knows no key {key!r}", hint=f"did you mean {near[0]}?")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _list_of(kind: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list | tuple) and all(isinstance(item, kind) for item in value)


_FITS: Mapping[ValueShape, Callable[[Any], bool]] = {
    ValueShape.TEXT: lambda value: isinstance(value, str),
    ValueShape.TRUTH: lambda value: isinstance(value, bool),
    ValueShape.NUMBER: _is_number,
    ValueShape.SIZE: lambda value: isinstance(value, str) or _is_number(value),
    ValueShape.TEXTS: _list_of(str),
    ValueShape.TABLE: lambda value: isinstance(value, Mapping),
    ValueShape.TABLES: _list_of(dict),
}
