"""All keys except those of drivers: their types and descriptions, shared by reader and schema."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Any

from pymachine.addresses import check_host
from pymachine.errors import ValueFault
from pymachine.fleet.inventory.context import Reading
from pymachine.fleet.inventory.fields import (
    Duration,
    Number,
    Pairs,
    Schema,
    Several,
    Text,
    Truth,
)
from pymachine.fleet.inventory.option_types import field_type
from pymachine.fleet.inventory.sections import Key, Section
from pymachine.fleet.inventory.yaml_nodes import ABSENT, Scalar, Value
from pymachine.model import check_name
from pymachine.options.engine import EngineSpec
from pymachine.options.fields import OptionField, option_fields
from pymachine.options.values import (
    check_key,
    check_variable,
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
    """Return the name of a group. Raises ``ValueFault``."""
    if not _GROUP.fullmatch(text):
        raise ValueFault(text, "is not a valid group name", hint="use letters, digits, hyphens, _ and dots")
    return text


def check_fleet(text: str) -> str:
    """Return the name of a fleet: a word, like a machine's. Raises ``ValueFault``."""
    try:
        return check_name(text)
    except ValueFault as fault:
        raise ValueFault(text, "is not a valid fleet name", hint=fault.hint) from None


def check_stack(text: str) -> str:
    """Return the name of a stack. Raises ``ValueFault``."""
    if not _STACK.fullmatch(text):
        raise ValueFault(
            text,
            "is not a valid stack name",
            hint="use lower-case letters, digits, hyphens and _; begin with a letter or digit",
        )
    return text


def check_pool(text: str) -> str:
    """Return a network for overlays. Raises ``ValueFault``."""
    try:
        network = ipaddress.IPv4Network(text, strict=False)
    except ValueError:
        raise ValueFault(
            text, "is not a valid IPv4 network", hint="write ADDRESS/BITS, such as 10.80.0.0/16"
        ) from None
    if str(network) != text:
        raise ValueFault(text, "has host bits set", hint=f"did you mean {network}?")
    return text


def _described(option: OptionField) -> str:
    default = option.default_text or option.default
    shown = isinstance(default, str | int) and bool(default)
    return f"{option.help}  Default: {default}." if shown else option.help


@dataclass(frozen=True, slots=True)
class File:
    """A file that must exist. The result is its absolute path."""

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


ENGINE = Section(
    tuple(Key(option.key, field_type(option), _described(option)) for option in option_fields(EngineSpec))
)
ENGINE_FIELDS = {option.key: option.name for option in option_fields(EngineSpec)}

NODE = Section((
    Key("role", Text(choices=ROLES), "Its role in the Swarm: manager, worker, or none."),
    Key("labels", Pairs(check_key), "Labels of the node, for placement constraints."),
    Key("availability", Text(choices=AVAILABILITIES), "Availability of the node for tasks: active, pause or drain."),
    Key("advertise", Text(check_host), "Address that it advertises to the other nodes; by default its own address."),
), short="role")  # fmt: skip

SWARM = Section((
    Key("autolock", Truth(), "Encrypt the managers' keys; the unlock key is kept in the store."),
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
ENTRY = Section(COMMON)
