"""What the test EC2 remembers beyond moto: tokens, who cannot be seen yet, states on their way, the calls it took."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from moto.ec2.models import EC2Backend, ec2_backends
from moto.ec2.models.instances import Instance

from lab.ec2.catalogue import fill
from lab.ec2.faults import Faults
from lab.ec2.wire import Call, Reply

if TYPE_CHECKING:
    from lab.ec2.spot import Spot

ACCOUNT = "123456789012"
CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}


@dataclass
class Settings:
    """How the test EC2 behaves; Ec2Server.reset and .set take these by name.

    instance_unseen: how many describes do not show a new instance yet. group_unseen: the same for security groups.
    pending_ms, stopping_ms, shutting_down_ms: how long these states last at least.
    pending_looks: how many describes see an instance pending before it is running.
    public_pool, private_pool: IPv4 addresses to hand out; empty means moto's own.
    checkip: what /checkip answers instead of the caller's address.
    launch_dies: a state reason such as "Client.InternalError"; instances launched now terminate instead of running.
    keys_awaited: an Instance Connect key is answered only once whoever boots the instances has put it there.
    """

    instance_unseen: int = 1
    group_unseen: int = 0
    pending_ms: int = 200
    pending_looks: int = 1
    stopping_ms: int = 300
    shutting_down_ms: int = 300
    public_pool: list[str] = field(default_factory=list)
    private_pool: list[str] = field(default_factory=list)
    checkip: str = ""
    launch_dies: str = ""
    keys_awaited: bool = False

    def change(self, values: dict[str, Any]) -> None:
        """Set some by name; ValueError for one that does not exist."""
        known = {item.name for item in fields(self)}
        if unknown := set(values) - known:
            raise ValueError(f"no such setting: {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}")
        for name, value in values.items():
            setattr(self, name, value)


@dataclass
class Change:
    """A state that an instance reaches once it is late enough and enough describes have seen the one before."""

    state: str
    at: float
    looks: int = 0


@dataclass
class Life:
    """One instance beyond what moto keeps."""

    instance: Instance
    region: str
    unseen: int
    change: Change | None = None
    one_time_spot: bool = False
    reboots: int = 0
    ended: bool = False

    def end(self) -> None:
        """Note that moto has terminated it, interface and all."""
        self.ended = True
        for nic in self.instance.nics.values():
            nic.delete_on_termination = False  # deleted by now, and moto would look for it the next time


@dataclass(frozen=True)
class Launch:
    """What a client token stands for."""

    request: dict[str, str]
    reply: Reply
    instances: tuple[str, ...]


class World:
    """All of it, since the last reset; whoever reads or changes it holds ``lock``, faults excepted."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.faults = Faults()
        self.clear()

    def clear(self) -> None:
        """Forget everything; moto is reset elsewhere."""
        self.settings = Settings()
        self.calls: list[dict[str, Any]] = []
        self.tokens: dict[tuple[str, str], Launch] = {}
        self.lives: dict[str, Life] = {}
        self.unseen_groups: dict[str, int] = {}
        self.consoles: dict[str, str] = {}
        self.sent_keys: list[dict[str, Any]] = []
        self.keys_taken = 0
        self.spots: dict[str, Spot] = {}
        self._handed = 0

    def backend(self, region: str) -> EC2Backend:
        """moto's state of a region, with our images."""
        backend = ec2_backends[ACCOUNT][region]
        fill(backend)
        return backend

    # the log

    def record(self, call: Call) -> dict[str, Any]:
        """Number a call and log it; the status is filled in when it is known."""
        with self.lock:
            call.number = len(self.calls) + 1
            entry = {
                "number": call.number,
                "service": call.service,
                "action": call.action,
                "params": call.params,
                "region": call.region,
                "status": 0,
            }
            self.calls.append(entry)
            return entry

    # instances

    def born(self, instance: Instance, region: str) -> Life:
        """Take up a new instance: pending, and unseen for a while."""
        life = Life(instance, region, self.settings.instance_unseen)
        self.lives[instance.id] = life
        looks = self.settings.pending_looks
        target = "terminated" if self.settings.launch_dies else "running"
        self.pass_through(life, "pending", target, self.settings.pending_ms, looks)
        return life

    def pass_through(self, life: Life, state: str, target: str, milliseconds: int, looks: int = 0) -> None:
        """Put an instance into a passing state, and say what follows."""
        set_state(life.instance, state)
        life.change = Change(target, time.monotonic() + milliseconds / 1000, looks)

    def advance(self) -> None:
        """Let every state that has lasted long enough pass."""
        now = time.monotonic()
        for life in self.lives.values():
            change = life.change
            if change and change.looks <= 0 and now >= change.at:
                life.change = None
                self._arrive(life, change.state)

    def _arrive(self, life: Life, state: str) -> None:
        instance = life.instance
        code = self.settings.launch_dies if instance.state == "pending" else ""
        if state == "terminated" and not life.ended:
            instance.terminate()
            life.end()
            if code:
                instance.state_reason.code, instance.state_reason.message = code, f"{code}: Client error on launch"
        elif state == "stopped" and instance.state != "stopping":
            instance.stop()
        set_state(instance, state)

    def settle(self, instance_id: str, state: str, was: str | None = None) -> None:
        """Move an instance to a state at once, if it is in the one that is named."""
        life = self.lives[instance_id]
        if was not in (None, life.instance.state):
            return
        life.change = None
        self._arrive(life, state)

    def looked(self, lives: Iterator[Life]) -> None:
        """Count a describe that these were asked for in."""
        for life in lives:
            if life.unseen:
                life.unseen -= 1
            elif life.change:
                life.change.looks -= 1

    def of_region(self, region: str) -> list[Life]:
        """Every instance of a region."""
        return [life for life in self.lives.values() if life.region == region]

    # addresses

    def next_public(self) -> str | None:
        """The pool's next address that no instance has; None without a pool or with none left."""
        pool = self.settings.public_pool
        taken = {life.instance.public_ip for life in self.lives.values()}
        for _ in pool:
            address = pool[self._handed % len(pool)]
            self._handed += 1
            if address not in taken:
                return address
        return None

    def next_private(self) -> str | None:
        """The same for private addresses; that of a terminated instance is free again."""
        living = [life.instance for life in self.lives.values() if life.instance.state != "terminated"]
        taken = {instance.private_ip for instance in living}
        return next((address for address in self.settings.private_pool if address not in taken), None)


def set_state(instance: Instance, name: str) -> None:
    """Set an instance's state as EC2 numbers it."""
    instance._state.name, instance._state.code = name, CODES[name]


@dataclass
class Exchange:
    """One call being answered: rules read and change these; ``reply`` is there once moto has answered."""

    call: Call
    world: World
    backend: EC2Backend
    reply: Reply | None = None

    @property
    def form(self) -> dict[str, str]:
        """The call's flat parameters, which rules may complete."""
        return self.call.form

    @property
    def refused(self) -> bool:
        """Whether moto answered with an error."""
        return self.reply is not None and self.reply.status >= 400

    def lives(self) -> list[Life]:
        """The instances that the call names."""
        return [self.world.lives[name] for name in self.call.values("InstanceId") if name in self.world.lives]
