"""The test's side: start the test EC2, talk to it, make it fail."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from lab.ec2.faults import Fault, When, hold
from lab.sh import LabError

TESTS = Path(__file__).resolve().parents[2]
START_LIMIT = 30.0


@dataclass(frozen=True)
class Seen:
    """One API request since the last reset.

    params are as on the wire, flat for EC2 ("TagSpecification.1.Tag.1.Key"). status is what the caller got: 0 while
    it waits or when the connection was closed. performed is what EC2 did: None when a fault kept it from that.
    """

    number: int
    service: str
    action: str
    params: dict[str, Any]
    status: int
    region: str
    performed: int | None = None


class Held:
    """Calls that wait for the test."""

    def __init__(self, server: Ec2Server) -> None:
        self._server = server

    def wait(self, deadline: float = 30) -> dict[str, Any]:
        """Wait until one is held: its number, action and when."""
        end = time.monotonic() + deadline
        while time.monotonic() < end:
            if held := self._server.ask("held"):
                first: dict[str, Any] = held[0]
                return first
            time.sleep(0.02)
        raise LabError(f"no call was held within {deadline:g} s; there were {self._server.actions()}")


class Ec2Server:
    """The test EC2 in a process of its own; a context manager."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._clients: dict[tuple[str, str], Any] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    def __enter__(self) -> Ec2Server:
        argv = [sys.executable, "-m", "lab.ec2.process"]
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                argv, cwd=TESTS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                env={**os.environ, "PYTHONPATH": str(TESTS)},
            )  # fmt: skip
        self._process = process
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line.strip().isdigit():
            raise LabError(f"the test EC2 did not start\n{self.log[-2000:]}")
        self.port = int(line)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._clients:
            self._clients.popitem()[1].close()
        if process := self._process:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe:
                    pipe.close()

    @property
    def url(self) -> str:
        """What AWS_ENDPOINT_URL takes."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def checkip(self) -> str:
        """The URL that answers a caller's own address."""
        return f"{self.url}/checkip"

    @property
    def log(self) -> str:
        """What the process printed: tracebacks of what it could not do."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def environ(self, region: str = "us-east-1") -> dict[str, str]:
        """The variables that lead the CLI or boto3 here, with credentials that open nothing."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "AKIALABLABLABLABLAB1",
            "AWS_SECRET_ACCESS_KEY": "lab-secret",
            "AWS_DEFAULT_REGION": region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/nonexistent/aws-config",
            "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent/aws-credentials",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }

    def program_environ(self, region: str = "us-east-1") -> dict[str, str]:
        """The whole environment for a program: this process's without its settings for AWS, with ours."""
        return {
            **{key: value for key, value in os.environ.items() if not key.startswith("AWS_")},
            **self.environ(region),
        }

    def client(self, service: str = "ec2", region: str = "us-east-1") -> Any:
        """The boto3 client of this server for a service and region: it tries once, and threads may share it."""
        if (service, region) not in self._clients:
            self._clients[service, region] = self._connect(service, region)
        return self._clients[service, region]

    def _connect(self, service: str, region: str) -> Any:
        # Here, so that test runs without EC2 do not wait for these imports.
        import boto3
        from botocore.config import Config

        given = self.environ(region)
        session = boto3.Session(given["AWS_ACCESS_KEY_ID"], given["AWS_SECRET_ACCESS_KEY"], region_name=region)
        config = Config(retries={"total_max_attempts": 1}, read_timeout=60, max_pool_connections=32, proxies={})
        return session.client(service, endpoint_url=self.url, config=config)

    # control

    def ask(self, path: str, document: object = None) -> Any:
        """Use one of the paths below /lab/; LabError with what it said when it refuses."""
        data = json.dumps(document or {}).encode()
        request = urllib.request.Request(f"{self.url}/lab/{path}", data, {"Content-Type": "application/json"})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=30) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                raise LabError(f"/lab/{path}: {error.read().decode(errors='replace')}") from error

    def reset(self, **settings: Any) -> None:
        """Forget everything that happened; settings are those of lab.ec2.world.Settings."""
        self.ask("reset", settings)

    def set(self, **settings: Any) -> None:
        """Change settings and keep the rest."""
        self.ask("settings", settings)

    def calls(self, action: str = "") -> list[Seen]:
        """Every API request since the last reset, or those of one action."""
        seen = [Seen(**entry) for entry in self.ask("calls")]
        return [call for call in seen if action in ("", call.action)]

    def actions(self) -> list[str]:
        """The actions in their order."""
        return [call.action for call in self.calls()]

    def inject(self, fault: Fault) -> None:
        """Make calls to come fail; see lab.ec2.faults."""
        self.ask("inject", fault.document())

    def clear_faults(self) -> None:
        """Forget the faults that were injected."""
        self.ask("clear")

    @contextlib.contextmanager
    def holding(self, when: When, **where: Any) -> Iterator[Held]:
        """Hold a call, before or after it is performed, until the block ends; where is action, nth or call."""
        self.inject(hold(when, **where))
        try:
            yield Held(self)
        finally:
            self.ask("release")

    def kill_at(
        self, start: Callable[[], subprocess.Popen[Any]], when: When, deadline: float = 120, **where: Any
    ) -> bool:
        """Start a program and kill it with SIGKILL at a call; False when it ended by itself before it got there."""
        with self.holding(when, **where):
            process = start()
            end = time.monotonic() + deadline
            while process.poll() is None:
                if self.ask("held"):
                    process.kill()
                    process.communicate()
                    return True
                if time.monotonic() > end:
                    process.kill()
                    process.communicate()
                    raise LabError(f"the program neither ended nor made the call: {self.actions()}")
                time.sleep(0.02)
            process.communicate()
            return False

    def instances(self) -> list[dict[str, Any]]:
        """Every instance of every region, without a call of the API."""
        found: list[dict[str, Any]] = self.ask("instances")
        return found

    def billed(self) -> list[str]:
        """The ids of what costs money: instances that do not end, and open spot requests, which launch another."""
        alive = [item["id"] for item in self.instances() if item["state"] not in ("shutting-down", "terminated")]
        return alive + [name for name, state in self.ask("spots").items() if state == "open"]

    def console(self, instance: str, text: str) -> None:
        """Set what GetConsoleOutput answers for an instance."""
        self.ask("console", {"instance": instance, "text": text})

    def settle(self, instance: str, state: str, was: str | None = None) -> None:
        """Move an instance to a state now, as when somebody else did it; with was, only from that state."""
        self.ask("settle", {"instance": instance, "state": state, "was": was})

    def forget(self, instance: str) -> None:
        """Let EC2 forget a terminated instance, as it does after about an hour."""
        self.ask("forget", {"instance": instance})

    def sent_keys(self) -> list[dict[str, Any]]:
        """What EC2 Instance Connect was given: instance, user, key, at (seconds since the epoch)."""
        found: list[dict[str, Any]] = self.ask("keys")
        return found

    def network(self, cidr: str, region: str = "us-east-1", cidr6: str | None = None) -> dict[str, str]:
        """Make a VPC and subnet of these addresses the region's default: {"vpc": …, "subnet": …}."""
        found: dict[str, str] = self.ask("network", {"cidr": cidr, "region": region, "cidr6": cidr6})
        return found
