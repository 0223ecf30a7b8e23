"""Every key that is not a driver's: what it takes and what it is for. Reader and schema share it."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Any

from pymachine.addresses import check_host
from pymachine.errors import UsageFault
from pymachine.fleet.inventory.context import Reading
from pymachine.fleet.inventory.fields import (
    Converted,
    Duration,
    Free,
    Number,
    Pairs,
    Schema,
    Several,
    Text,
    Truth,
    checked,
    pairs_of,
)
from pymachine.fleet.inventory.sections import Key, Section
from pymachine.fleet.inventory.yaml_nodes import ABSENT, Scalar, Table, Value
from pymachine.model import check_name
from pymachine.options.values import (
    PROXIES,
    SOURCES,
    check_registry,
    check_san,
    check_source,
    check_url,
    check_variable,
    check_version,
    check_word,
    is_known_source,
    split_hosts,
)

EVENTS = ("before_create", "after_create", "before_remove", "after_remove", "before_apply", "after_apply")
ROLES = ("manager", "worker", "none")
AVAILABILITIES = ("active", "pause", "drain")
SMALLEST_SUBNET = 29  # bits: swarmkit refuses smaller overlay subnets than /29

TOP = {
    "fleet": "Name of the fleet; its machines are tagged with it.",
    "defaults": "Defaults of every machine; may have sections of several drivers.",
    "machines": "The machines, one by one or as ranges.",
    "swarm": "The Swarm that the machines form.",
    "stacks": "Compose files to deploy.",
    "hooks": "Programs to run on this computer at certain events.",
}
_GROUP = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}", re.ASCII)
_STACK = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}", re.ASCII)  # what Compose takes for a project's name


def check_group(text: str) -> str:
    """Return the name of a group. Raises ``UsageFault``."""
    if not _GROUP.fullmatch(text):
        raise UsageFault(f"{text!r} cannot be the name of a group", hint="use letters, digits, hyphens, _ and dots")
    return text


def check_fleet(text: str) -> str:
    """Return the name of a fleet: a word, like a machine's. Raises ``UsageFault``."""
    try:
        return check_name(text)
    except UsageFault as fault:
        raise UsageFault(f"{text!r} cannot be the name of a fleet", hint=fault.hint) from None


def check_stack(text: str) -> str:
    """Return the name of a stack. Raises ``UsageFault``."""
    if not _STACK.fullmatch(text):
        raise UsageFault(
            f"{text!r} cannot be the name of a stack",
            hint="use small letters, digits, hyphens and _; begin with a letter or digit",
        )
    return text


def check_key(text: str) -> str:
    """Return the key of a label. Raises ``UsageFault``."""
    if not text.strip() or "=" in text or any(char.isspace() for char in text):
        raise UsageFault(f"{text!r} cannot be the key of a label", hint="use a word such as tier")
    return text


def check_pool(text: str) -> str:
    """Return a network for overlays. Raises ``UsageFault``."""
    try:
        network = ipaddress.IPv4Network(text, strict=False)
    except ValueError:
        raise UsageFault(
            f"{text!r} is not a valid IPv4 network", hint="write ADDRESS/BITS, such as 10.80.0.0/16"
        ) from None
    if str(network) != text:
        raise UsageFault(f"{text!r} has host bits set", hint=f"did you mean {network}?")
    return text


@dataclass(frozen=True, slots=True)
class InstallSource:
    """Where the engine comes from: a word, a URL, or the file of a script, whose text is read. Comes to fields."""

    def read(self, value: Value, reading: Reading) -> Any:
        """Return ``install`` and ``install_script`` of ``EngineSpec``."""
        text = Text().read(value, reading)
        if text is ABSENT:
            return text
        if is_known_source(text):
            source = checked(value, lambda given: check_source(given, "install"), reading, text)
            return source if source is ABSENT else {"install": source}
        if "/" not in text and "." not in text:
            reading.fault(value, f"{text!r} is not a valid source", f"give {', '.join(SOURCES)}, a URL or a file")
            return ABSENT
        path = reading.path(value, text)
        script = checked(value, reading.surroundings.paths.read, reading, path)
        return (
            script if script is ABSENT else {"install": f"script:{path.rpartition('/')[2]}", "install_script": script}
        )

    def schema(self) -> Schema:
        """Return the schema of a text, with the words that are known."""
        return {"anyOf": [{"enum": list(SOURCES)}, {"type": "string"}]}


@dataclass(frozen=True, slots=True)
class Options:
    """Options of the daemon, as a list of ``flag=value`` or as a mapping."""

    def read(self, value: Value, reading: Reading) -> Any:
        """Return a tuple of ``flag=value``."""
        if isinstance(value, Table):
            pairs = Pairs().read(value, reading)
            return pairs if pairs is ABSENT else pairs_of(pairs)
        return Several(Text()).read(value, reading)

    def schema(self) -> Schema:
        """Return the schema of a list or a mapping."""
        return {"anyOf": [{"type": "object"}, {"type": "array", "items": {"type": "string"}}, {"type": "string"}]}


@dataclass(frozen=True, slots=True)
class File:
    """A file that must be there. Comes to its absolute path."""

    executable: bool = False

    def read(self, value: Value, reading: Reading) -> Any:
        """Return the absolute path."""
        text = Text().read(value, reading)
        if text is ABSENT:
            return ABSENT
        path = reading.path(value, text)
        why = reading.surroundings.paths.fault(path, executable=self.executable)
        if why is None:
            return path
        assert isinstance(value, Scalar)
        reading.fault(value, f"{value.source}: {why}")
        return ABSENT

    def schema(self) -> Schema:
        """Return the schema of a path."""
        return {"type": "string"}


ENGINE = Section((
    Key(
        "install",
        InstallSource(),
        "Source of the engine: auto, docker, distro, none, a URL, or a script file.",
    ),
    Key("version", Text(check_version, examples=("26.1", "28.0.4")), "Engine version, e.g. 26.1."),
    Key("channel", Text(check_word, examples=("stable", "test")), "Channel of Docker's repository."),
    Key("repo_url", Text(check_url("repo_url")), "Mirror of Docker's package repository."),
    Key("port", Number(1, 65535), "TCP port of the engine.  Default: 2376."),
    Key("labels", Converted(Pairs(check_key), pairs_of), "Labels of the engine, seen by `docker info`."),
    Key("env", Converted(Pairs(check_variable, secret=True), pairs_of), "Environment variables for the daemon."),
    Key("daemon", Free(), "Settings to merge into the host's daemon.json."),
    Key("opts", Options(), "Options of the daemon, as flags: log-driver=local."),
    Key("registry_mirrors", Several(Text(check_url("registry mirror"))), "Mirrors of Docker Hub, as URLs."),
    Key("insecure_registries", Several(Text(check_registry("registry"))), "Registries without TLS: HOST[:PORT]."),
    Key("storage_driver", Text(check_word, examples=("overlay2",)), "Storage driver of the daemon."),
    Key("http_proxy", Text(check_url("http_proxy", PROXIES)), "Proxy of the engine and its installation."),
    Key("https_proxy", Text(check_url("https_proxy", PROXIES)), "Proxy of the engine and its installation."),
    Key("no_proxy", Converted(Several(Text()), split_hosts), "Hosts to reach without a proxy."),
    Key("tls_sans", Several(Text(check_san)), "Additional names and addresses in the engine's certificate."),
    Key("set_hostname", Truth(), "Name the host like the machine; by default only without a running engine."),
))  # fmt: skip

# Keys that are called otherwise in EngineSpec.
ENGINE_FIELDS = {"daemon": "config", "tls_sans": "sans"}

NODE = Section((
    Key("role", Text(choices=ROLES), "Its role in the Swarm: manager, worker, or none."),
    Key("labels", Pairs(check_key), "Labels of the node, for placement constraints."),
    Key("availability", Text(choices=AVAILABILITIES), "Availability of the node for tasks: active, pause or drain."),
    Key("advertise", Text(check_host), "Address that it advertises to the other nodes; by default its own address."),
), short="role")  # fmt: skip

SWARM = Section((
    Key("autolock", Truth(), "Encrypt the managers' keys; the key to unlock is kept in the store."),
    Key("address_pool", Several(Text(check_pool, examples=("10.80.0.0/16",)), 1),
        "Address pools of overlay networks; cannot be changed later."),
    Key("subnet_size", Number(1, SMALLEST_SUBNET), "Prefix length of the subnets taken from them.  Default: 24."),
    Key("data_path_port", Number(1024, 49151), "UDP port of overlay traffic.  Default: 4789."),
    Key("task_history", Number(0), "Finished tasks to keep for each slot."),
    Key("certificate_life", Duration(3600), "Validity of the nodes' certificates, e.g. 90d."),
    Key("heartbeat", Duration(1), "Time between heartbeats of nodes, e.g. 5s."),
))  # fmt: skip

STACK = Section((
    Key("name", Text(check_stack), "Name of the stack.", required=True),
    Key("file", Several(File(), 1), "Compose file, or several that are merged.", required=True),
    Key("on", Text(), "Machine to deploy it on with `docker compose`; by default the Swarm."),
    Key("env_file", Several(File()), "Files with variables for the Compose files."),
    Key("environment", Pairs(check_variable, secret=True), "Variables for the Compose files."),
    Key("build", Truth(), "Build on the target the images that the files build.  Default: true."),
    Key("prune", Truth(), "Remove services that are no longer in the files.  Default: true."),
    Key("wait", Duration(0), "Time to wait until its services run; 0 does not wait.  Default: 5m."),
))  # fmt: skip

HOOKS = Section(
    tuple(Key(event, File(executable=True), f"Program to run {event.replace('_', ' ')}.") for event in EVENTS),
    what="event",
)

COMMON = (
    Key("driver", Text(), "Driver of the machine: kvm, aws, ssh, …"),
    Key("engine", ENGINE, "Settings of the engine."),
    Key("labels", Pairs(check_key), "Labels of the machine, for `ls` and `--limit`."),
    Key("groups", Several(Text(check_group)), "Additional names by which `--limit` selects the machine."),
    Key("swarm", NODE, "Its role in the Swarm: manager, worker, none, or a mapping."),
)
DEFAULTS = Section(COMMON)
ENTRY = Section(COMMON)
