"""A region of EC2 in memory, for the life of instances that are there: states that take time, and calls that fail."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pymachine.clock import Clock
from pymachine.driver import Listener
from pymachine.override import override
from pymachine_aws.api import ApiError, AwsAccount
from pymachine_aws.handle import Ec2

LAUNCHED = datetime(2026, 11, 25, 10, 0, tzinfo=UTC)


def refusal(code: str, message: str = "refused") -> ApiError:
    return ApiError(f"cannot do it: {message} ({code})", code=code)


@dataclass
class Time:
    """Passes when somebody sleeps; what is planned happens on the way."""

    seconds: float = 0.0
    plans: list[tuple[float, Callable[[], None]]] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        due = [happen for at, happen in self.plans if at <= self.seconds]
        self.plans = [plan for plan in self.plans if plan[0] > self.seconds]
        for happen in due:
            happen()

    def later(self, seconds: float, happen: Callable[[], None]) -> None:
        self.plans.append((self.seconds + seconds, happen))

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.seconds, self.sleep)


@dataclass
class Told:
    """What a listener heard."""

    progress: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    @property
    def listener(self) -> Listener:
        return Listener(self.progress.append, self.notices.append)


def described(name: str, state: str = "running", **changes: Any) -> dict[str, Any]:
    """An instance as EC2 describes it."""
    running = {"PublicIpAddress": "198.51.100.7", "PublicDnsName": "ec2-7.example"} if state == "running" else {}
    return {
        "InstanceId": name,
        "ImageId": "ami-1",
        "InstanceType": "t3.small",
        "LaunchTime": LAUNCHED,
        "Placement": {"AvailabilityZone": "eu-central-1a"},
        "State": {"Name": state},
        "PrivateIpAddress": "10.0.0.7",
        "SecurityGroups": [],
        "Tags": [],
        **running,
        **changes,
    }


def tagged(machine: str, *, store: str = "this-store", name: str = "node1") -> list[dict[str, str]]:
    tags = {"pymachine:id": machine, "pymachine:name": name, "pymachine:store": store}
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def ec2(instance: str = "i-1", **changes: Any) -> Ec2:
    return Ec2(**{"region": "eu-central-1", "id": f"m-{instance}", "instance": instance, "user": "ubuntu", **changes})


class Region(AwsAccount):
    """``before`` maps operations to errors for their next calls; ``things`` are what describe calls list by key."""

    def __init__(self, *instances: dict[str, Any], region: str = "eu-central-1") -> None:
        super().__init__(region)
        self.time = Time()
        self.instances = {each["InstanceId"]: each for each in instances}
        self.things: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.before: dict[str, list[Exception]] = defaultdict(list)
        self.answers: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.stopping: float | None = 20.0  # seconds; None: a guest that never follows
        self.boot = 5.0
        self.addresses = iter(f"198.51.100.{number}" for number in range(100, 200))

    @override
    def read(self, operation: str, what: str, *, service: str = "ec2", **params: Any) -> dict[str, Any]:
        return self._answer(operation, params)

    @override
    def change(self, operation: str, what: str, *, service: str = "ec2", **params: Any) -> dict[str, Any]:
        return self._answer(operation, params)

    @override
    def pages(self, operation: str, key: str, what: str, **params: Any) -> Iterator[Any]:
        self._note(operation, params)
        if operation == "describe_instances":
            found = [each for each in self.instances.values() if _fits(each, params["Filters"])]
            return iter([{"Instances": [dict(each)]} for each in found])
        return iter([thing for thing in self.things[key] if _fits(thing, params.get("Filters", []))])

    @override
    def url(self, service: str) -> str:
        return f"https://{service}.example"

    def operations(self, *without: str) -> list[str]:
        return [name for name, _ in self.calls if name not in without]

    def set_state(self, name: str, state: str, code: str = "", message: str = "") -> None:
        self.instances[name].update(State={"Name": state}, StateReason={"Code": code, "Message": message})
        self.instances[name].pop("PublicIpAddress", None)
        if state == "running":
            self.instances[name]["PublicIpAddress"] = next(self.addresses)

    def _note(self, operation: str, params: dict[str, Any]) -> None:
        self.calls.append((operation, params))
        if self.before[operation]:
            raise self.before[operation].pop(0)

    def _answer(self, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        self._note(operation, params)
        for name in params.get("InstanceIds", ()):
            getattr(self, f"_{operation}")(name, params)
        return self.answers[operation].pop(0) if self.answers[operation] else {}

    def _start_instances(self, name: str, params: dict[str, Any]) -> None:
        if self.instances[name]["State"]["Name"] != "stopped":
            raise refusal("IncorrectInstanceState")
        self.set_state(name, "pending")
        self.time.later(self.boot, lambda: self.set_state(name, "running"))

    def _stop_instances(self, name: str, params: dict[str, Any]) -> None:
        self.set_state(name, "stopping")
        takes = 1.0 if params.get("Force") else self.stopping
        if takes is not None:
            self.time.later(takes, lambda: self.set_state(name, "stopped", "Client.UserInitiatedShutdown"))

    def _terminate_instances(self, name: str, params: dict[str, Any]) -> None:
        self.set_state(name, "shutting-down")

    def _reboot_instances(self, name: str, params: dict[str, Any]) -> None:
        pass


def _fits(thing: dict[str, Any], filters: list[dict[str, Any]]) -> bool:
    return all(set(_values(thing, asked["Name"])) & set(asked["Values"]) for asked in filters)


def _values(thing: dict[str, Any], name: str) -> list[str]:
    tags = {tag["Key"]: tag["Value"] for tag in thing.get("Tags", ())}
    if name.startswith("tag:"):
        return [value for key, value in tags.items() if key == name.removeprefix("tag:")]
    values = {
        "tag-key": list(tags),
        "image-id": [thing.get("ImageId", "")],
        "instance-id": [thing.get("InstanceId", "")],
        "instance-state-name": [
            thing.get("State", {}).get("Name", "") if isinstance(thing.get("State"), dict) else ""
        ],
        "instance.group-id": [group["GroupId"] for group in thing.get("SecurityGroups", ())],
        "status": [str(thing.get("State", ""))],
    }
    return values[name]
