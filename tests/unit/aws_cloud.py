"""An EC2 in memory behind the interface of ``AwsAccount``, as far as launches and removals see it.

It keeps client tokens as EC2 does, shows new things late if told so, and fails calls as a test scripts it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from typing_extensions import override

from pymachine.clock import Clock
from pymachine_aws.api import ApiError, AwsAccount, Unsure

Fault = Callable[[dict[str, Any]], None]


def refusal(code: str, message: str = "refused") -> ApiError:
    return ApiError(f"cannot do it: {message} ({code})", code=code)


def lost() -> Unsure:
    return Unsure("no answer from EC2")


@dataclass
class Time:
    """A clock that only passes when somebody sleeps, and what happens then."""

    seconds: float = 0.0
    events: list[tuple[float, Callable[[], object]]] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        due = [event for event in self.events if event[0] <= self.seconds]
        self.events = [event for event in self.events if event[0] > self.seconds]
        for _, happen in due:
            happen()

    def later(self, seconds: float, happen: Callable[[], object]) -> None:
        self.events.append((self.seconds + seconds, happen))

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.seconds, self.sleep)


class Cloud(AwsAccount):
    """``before`` and ``after`` map operations to errors for their next calls: after means that it was carried out."""

    def __init__(self, region: str = "eu-central-1") -> None:
        super().__init__(region)
        self.time = Time()
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.before: dict[str, list[BaseException | None]] = defaultdict(list)
        self.after: dict[str, list[BaseException | None]] = defaultdict(list)
        self.instances: dict[str, dict[str, Any]] = {}
        self.groups: dict[str, dict[str, Any]] = {}
        self.keys: dict[str, dict[str, Any]] = {}
        self.spot_requests: dict[str, dict[str, Any]] = {}
        self.tokens: dict[str, tuple[str, dict[str, Any]]] = {}
        self.ends: list[tuple[str, str]] = []  # StateReason of the next instances, which end before they run
        self.boot = 3.0  # seconds from pending to running
        self.shutdown = 20.0
        self.unseen = 0.0  # seconds for which a new instance does not show
        self.owner = "123456789012"
        self.public = True
        self.console = ""
        self.ipv6 = ""

    @override
    def read(self, operation: str, what: str, *, service: str = "ec2", **params: Any) -> dict[str, Any]:
        return self._do(operation, params)

    @override
    def pages(self, operation: str, key: str, what: str, **params: Any) -> Iterator[Any]:
        return iter(self._do(operation, params)[key])

    @override
    def change(self, operation: str, what: str, *, service: str = "ec2", **params: Any) -> dict[str, Any]:
        return self._do(operation, params)

    def count(self, operation: str) -> int:
        return Counter(name for name, _ in self.calls)[operation]

    def last(self, operation: str) -> dict[str, Any]:
        return next(params for name, params in reversed(self.calls) if name == operation)

    @property
    def live(self) -> list[str]:
        gone = ("shutting-down", "terminated")
        return [name for name, each in self.instances.items() if each["State"]["Name"] not in gone]

    def _do(self, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        self.calls.append((operation, params))
        _fail(self.before[operation])
        answer: dict[str, Any] = getattr(self, f"_{operation}")(params)
        _fail(self.after[operation])
        return answer

    # Instances.

    def _run_instances(self, params: dict[str, Any]) -> dict[str, Any]:
        body = {name: value for name, value in params.items() if name != "ClientToken"}
        token = params["ClientToken"]
        if token in self.tokens:
            known, said = self.tokens[token]
            if said != body:
                raise refusal("IdempotentParameterMismatch")
            if self.instances[known]["State"]["Name"] == "terminated":
                raise refusal("IdempotentInstanceTerminated")
            return {"OwnerId": self.owner, "Instances": [self.instances[known]]}
        for group in body["NetworkInterfaces"][0]["Groups"]:
            if group not in self.groups:
                raise refusal("InvalidGroup.NotFound")
        name = f"i-{len(self.instances) + 1:04}"
        self.tokens[token] = (name, body)
        self.instances[name] = self._new(name, body)
        self.time.later(self.boot, partial(self._boot, name))
        return {"OwnerId": self.owner, "Instances": [dict(self.instances[name])]}

    def _new(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        nic = body["NetworkInterfaces"][0]
        return {
            "InstanceId": name,
            "ImageId": body["ImageId"],
            "VpcId": "vpc-1",
            "State": {"Name": "pending"},
            "Tags": body["TagSpecifications"][0]["Tags"],
            "SecurityGroups": [{"GroupId": group} for group in nic["Groups"]],
            "PrivateIpAddress": "10.0.0.5",
            "NetworkInterfaces": [{"Ipv6Addresses": [{"Ipv6Address": self.ipv6}] if self.ipv6 else []}],
            "PrivateDnsName": "ip-10-0-0-5.internal",
            "since": self.time.seconds,
        }

    def _boot(self, name: str) -> None:
        instance = self.instances[name]
        if self.ends:
            code, message = self.ends.pop(0)
            instance.update(State={"Name": "terminated"}, StateReason={"Code": code, "Message": message})
        elif instance["State"]["Name"] == "pending":
            instance["State"] = {"Name": "running"}
            if self.public:
                instance.update(PublicIpAddress="198.51.100.7", PublicDnsName="ec2-198-51-100-7.example")

    def _describe_instances(self, params: dict[str, Any]) -> dict[str, Any]:
        shown = [each for each in self.instances.values() if self.time.seconds >= each["since"] + self.unseen]
        found = [dict(each) for each in shown if _let_through(each, params["Filters"])]
        return {"Reservations": [{"Instances": [each]} for each in found]}

    def _start_instances(self, params: dict[str, Any]) -> dict[str, Any]:
        for name in params["InstanceIds"]:
            self.instances[name]["State"] = {"Name": "pending"}
            self.time.later(self.boot, partial(self._boot, name))
        return {}

    def _terminate_instances(self, params: dict[str, Any]) -> dict[str, Any]:
        for name in params["InstanceIds"]:
            if name not in self.instances:
                raise refusal("InvalidInstanceID.NotFound")
            if self.instances[name].get("protected"):
                raise refusal("OperationNotPermitted")
            if self.instances[name]["State"]["Name"] != "terminated":
                self.instances[name]["State"] = {"Name": "shutting-down"}
                self.time.later(self.shutdown, partial(self.end, name))
        return {}

    def end(self, name: str) -> None:
        self.instances[name].update(State={"Name": "terminated"}, SecurityGroups=[])

    def _describe_spot_instance_requests(self, params: dict[str, Any]) -> dict[str, Any]:
        return {"SpotInstanceRequests": [{"SpotInstanceRequestId": name} for name in self.spot_requests]}

    def _cancel_spot_instance_requests(self, params: dict[str, Any]) -> dict[str, Any]:
        for name in params["SpotInstanceRequestIds"]:
            del self.spot_requests[name]
        return {}

    def _get_console_output(self, params: dict[str, Any]) -> dict[str, Any]:
        return {"Output": self.console}

    def _get_caller_identity(self, params: dict[str, Any]) -> dict[str, Any]:
        return {"Account": self.owner}

    # Groups.

    def _describe_security_groups(self, params: dict[str, Any]) -> dict[str, Any]:
        return {
            "SecurityGroups": [dict(each) for each in self.groups.values() if _let_through(each, params["Filters"])]
        }

    def _create_security_group(self, params: dict[str, Any]) -> dict[str, Any]:
        if any(each["GroupName"].lower() == params["GroupName"].lower() for each in self.groups.values()):
            raise refusal("InvalidGroup.Duplicate")
        return {"GroupId": self.add_group(params["GroupName"], params["TagSpecifications"][0]["Tags"])}

    def add_group(self, name: str, tags: list[dict[str, str]]) -> str:
        group = f"sg-{len(self.calls):04}"
        self.groups[group] = {
            "GroupId": group, "GroupName": name, "VpcId": "vpc-1", "Tags": tags, "IpPermissions": []
        }  # fmt: skip
        return group

    def _authorize_security_group_ingress(self, params: dict[str, Any]) -> dict[str, Any]:
        if params["GroupId"] not in self.groups:
            raise refusal("InvalidGroup.NotFound")
        there = self.groups[params["GroupId"]]["IpPermissions"]
        new = [single for entry in params["IpPermissions"] for single in _singles(entry)]
        if any(single in there for single in new):
            raise refusal("InvalidPermission.Duplicate")
        there.extend(new)
        return {}

    def _delete_security_group(self, params: dict[str, Any]) -> dict[str, Any]:
        group = params["GroupId"]
        if group not in self.groups:
            raise refusal("InvalidGroup.NotFound")
        if any({"GroupId": group} in each["SecurityGroups"] for each in self.instances.values()):
            raise refusal("DependencyViolation")
        del self.groups[group]
        return {}

    # Key pairs.

    def _import_key_pair(self, params: dict[str, Any]) -> dict[str, Any]:
        if params["KeyName"] in self.keys:
            raise refusal("InvalidKeyPair.Duplicate")
        self.keys[params["KeyName"]] = params
        return {}

    def _delete_key_pair(self, params: dict[str, Any]) -> dict[str, Any]:
        self.keys.pop(params["KeyName"], None)
        return {}


def _fail(errors: list[BaseException | None]) -> None:
    error = errors.pop(0) if errors else None
    if error is not None:
        raise error


def _singles(entry: dict[str, Any]) -> list[dict[str, Any]]:
    ports: dict[str, Any] = {name: entry[name] for name in ("IpProtocol", "FromPort", "ToPort") if name in entry}
    kinds = ("IpRanges", "Ipv6Ranges", "UserIdGroupPairs")
    return [{**ports, kind: [source]} for kind in kinds for source in entry.get(kind, ())]


def _let_through(each: dict[str, Any], filters: list[dict[str, Any]]) -> bool:
    return all(set(_values(each, asked["Name"])) & set(asked["Values"]) for asked in filters)


def _values(each: dict[str, Any], name: str) -> list[str]:
    if name.startswith("tag:"):
        return [tag["Value"] for tag in each["Tags"] if tag["Key"] == name.removeprefix("tag:")]
    if name == "instance.group-id":
        return [group["GroupId"] for group in each["SecurityGroups"]]
    if name == "instance-state-name":
        return [each["State"]["Name"]]
    keys = {"instance-id": "InstanceId", "vpc-id": "VpcId", "group-name": "GroupName"}
    return [each[keys[name]]]
