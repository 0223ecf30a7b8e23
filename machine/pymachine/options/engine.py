"""The engine's options. One line here is the whole declaration of an option; what acts on it reads ``EngineSpec``.

``option_fields(EngineSpec)`` returns what is declared. An option with a ``daemon_key`` is written to daemon.json and
needs nothing else: see ``engine.options``. Whatever looks at a machine loads this module, so it loads little itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pymachine.options.forms import Form
from pymachine.options.values import (
    check_assignment,
    check_pair,
    check_proxy,
    check_registry,
    check_san,
    check_source,
    check_url,
    check_version,
    check_word,
)

ENGINE_PORT = 2376


def engine_option(default: Any, help: str, *, check: Callable[[str], Any] | None = None, **declared: Any) -> Any:
    """Return a field of ``EngineSpec``; ``declared`` are fields of ``OptionField``, its flag ``--engine-NAME`` if not
    given. ``help`` is for the command line, the JSON Schema and the docs: a sentence.
    """
    metadata = {"help": help, "check": check, **declared}
    if isinstance(default, Mapping):
        return field(default_factory=dict, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """What the user wants of the engine.

    ``install`` is ``auto``, ``docker``, ``distro``, ``none``, an ``https://`` URL of an install script, or
    ``script:<name>`` for a local one whose text is in ``install_script``. ``opts`` are daemon options as
    docker-machine takes them (``log-driver=none``). ``config`` is a daemon.json to merge. ``set_hostname`` None means
    only where the engine is not there yet.
    """

    install: str = engine_option(
        "auto", "Source of the engine: auto, docker (Docker's repository), distro, none (already installed), the URL "
        "of an install script, or a script file.", form=Form.SOURCE, check=check_source,
        flag="--engine-install", aliases=("--engine-install-url",), metavar="SOURCE",
        env=("PYMACHINE_ENGINE_INSTALL", "MACHINE_DOCKER_INSTALL_URL"),
    )  # fmt: skip
    install_script: str | None = None
    version: str | None = engine_option(
        None, "Engine version: 26.1.5, or 26.1 for the newest 26.1.", check=check_version, flag="--engine-version",
        metavar="VERSION", examples=("26.1", "28.0.4"),
    )  # fmt: skip
    channel: str = engine_option(
        "stable", "Channel of Docker's repository.", check=check_word, flag="--engine-channel", metavar="CHANNEL",
        examples=("stable", "test"),
    )  # fmt: skip
    repo_url: str | None = engine_option(
        None, "Mirror of Docker's package repository.", check=check_url, flag="--engine-repo-url", metavar="URL",
    )  # fmt: skip
    port: int = engine_option(
        ENGINE_PORT, "TCP port of the engine.", least=1, most=65535, flag="--engine-port",
        aliases=("--generic-engine-port",), metavar="PORT", env=("GENERIC_ENGINE_PORT",),
    )  # fmt: skip
    opts: tuple[str, ...] = engine_option(
        (), "Option of the daemon, as a flag of dockerd: log-driver=local.", form=Form.FLAGS, flag="--engine-opt",
        metavar="FLAG=VALUE",
    )  # fmt: skip
    labels: tuple[str, ...] = engine_option(
        (), "Label of the engine, as `docker info` shows it.", form=Form.PAIRS, check=check_pair,
        flag="--engine-label", metavar="KEY=VALUE", daemon_key="labels",
    )  # fmt: skip
    env: tuple[str, ...] = engine_option(
        (), "Environment variable of the daemon.", form=Form.SECRETS, check=check_assignment, flag="--engine-env",
        metavar="KEY=VALUE",
    )  # fmt: skip
    insecure_registries: tuple[str, ...] = engine_option(
        (), "Registry without verified TLS, or a network of them.", check=check_registry,
        flag="--engine-insecure-registry", metavar="HOST[:PORT]", daemon_key="insecure-registries",
    )  # fmt: skip
    registry_mirrors: tuple[str, ...] = engine_option(
        (), "Mirror of Docker Hub.", check=check_url, flag="--engine-registry-mirror", metavar="URL",
        env="ENGINE_REGISTRY_MIRROR", daemon_key="registry-mirrors",
    )  # fmt: skip
    storage_driver: str | None = engine_option(
        None, "Storage driver of the daemon.", check=check_word, flag="--engine-storage-driver", metavar="DRIVER",
        examples=("overlay2",), daemon_key="storage-driver",
    )  # fmt: skip
    config: Mapping[str, Any] = engine_option(
        {}, "Settings to merge into the host's daemon.json.",
        flag="--engine-config", metavar="FILE", key="daemon",
    )  # fmt: skip
    http_proxy: str | None = engine_option(
        None, "Proxy of the engine and its installation.", check=check_proxy, flag="--http-proxy", metavar="URL",
    )  # fmt: skip
    https_proxy: str | None = engine_option(
        None, "Proxy of the engine and its installation.", check=check_proxy, flag="--https-proxy", metavar="URL",
    )  # fmt: skip
    no_proxy: tuple[str, ...] = engine_option(
        (), "Hosts to reach without a proxy.", form=Form.HOSTS, flag="--no-proxy-for", metavar="HOST,...",
    )  # fmt: skip
    sans: tuple[str, ...] = engine_option(
        (), "Additional name or address in the engine's certificate.", check=check_san, flag="--tls-san",
        metavar="NAME", key="tls_sans",
    )  # fmt: skip
    set_hostname: bool | None = engine_option(
        None, "Set the host name to the machine's name.", flag="--set-hostname", no_flag="--keep-hostname",
        default_text="only where no engine runs yet",
    )  # fmt: skip
