"""The paths below /lab: how a test tells the test EC2 what to do, and asks what was done."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from moto.ec2.models import EC2Backend

from lab.ec2.faults import Fault
from lab.ec2.wire import Application, Environ, Reply, json_reply, perform
from lab.ec2.world import Life, World

Handler = Callable[[dict[str, Any]], object]


class Control:
    """Every path takes and gives a JSON document."""

    def __init__(self, world: World, moto: Application) -> None:
        self.world = world
        self._moto = moto
        self._paths: dict[str, Handler] = {
            "reset": self.reset,
            "settings": self.settings,
            "calls": lambda _: list(self.world.calls),
            "inject": self.inject,
            "held": lambda _: self.world.faults.held(),
            "release": lambda _: self.world.faults.release(),
            "spots": lambda _: {name: spot.state for name, spot in self.world.spots.items()},
            "clear": lambda _: self.world.faults.clear(),
            "console": self.console,
            "instances": self.instances,
            "settle": self.settle,
            "forget": self.forget,
            "keys": lambda _: list(self.world.sent_keys),
            "taken": self.taken,
            "network": self.network,
            "time": lambda _: time.time(),
        }

    def answer(self, path: str, environ: Environ) -> Reply:
        """Answer one request below /lab/."""
        handler = self._paths.get(path)
        if handler is None:
            return json_reply(f"no such path: there are {', '.join(self._paths)}", 404)
        length = int(environ.get("CONTENT_LENGTH") or 0)
        asked = json.loads(environ["wsgi.input"].read(length) or b"{}") if length else {}
        try:
            return json_reply(handler(asked))
        except (KeyError, TypeError, ValueError) as error:
            return json_reply(f"{type(error).__name__}: {error}", 400)

    def reset(self, asked: dict[str, Any]) -> None:
        """Forget everything: faults, calls, settings, and all that moto has."""
        self.world.faults.clear()
        environ = {"REQUEST_METHOD": "POST", "PATH_INFO": "/moto-api/reset", "QUERY_STRING": "", "SERVER_NAME": "lab"}
        environ |= {"SERVER_PORT": "80", "wsgi.url_scheme": "http", "SERVER_PROTOCOL": "HTTP/1.1"}
        with self.world.lock:
            perform(self._moto, environ)
            self.world.clear()
            self.world.settings.change(asked)

    def settings(self, asked: dict[str, Any]) -> None:
        """Change some settings."""
        with self.world.lock:
            self.world.settings.change(asked)

    def inject(self, asked: dict[str, Any]) -> None:
        """Add a fault."""
        self.world.faults.inject(Fault(**asked))

    def console(self, asked: dict[str, Any]) -> None:
        """Set what an instance has printed."""
        self.world.consoles[asked["instance"]] = asked["text"]

    def settle(self, asked: dict[str, Any]) -> None:
        """Move an instance to a state now."""
        with self.world.lock:
            self.world.settle(asked["instance"], asked["state"], asked.get("was"))

    def taken(self, asked: dict[str, Any]) -> None:
        """Say how many of the sent keys are on their instances by now."""
        self.world.keys_taken = asked["count"]

    def forget(self, asked: dict[str, Any]) -> None:
        """Drop a terminated instance, as AWS does after about an hour."""
        with self.world.lock:
            life = self.world.lives.pop(asked["instance"])
            reservations = self.world.backend(life.region).reservations
            for name, reservation in list(reservations.items()):
                if life.instance in reservation.instances:
                    del reservations[name]

    def instances(self, _: dict[str, Any]) -> list[dict[str, Any]]:
        """Every instance of every region as whoever boots them needs it; not a call, and counted by nothing."""
        with self.world.lock:
            self.world.advance()
            return [_shown(life, self.world.backend(life.region)) for life in self.world.lives.values()]

    def network(self, asked: dict[str, Any]) -> dict[str, str]:
        """Make a VPC with one subnet of the same addresses the region's default, and say their ids."""
        with self.world.lock:
            backend = self.world.backend(asked["region"])
            for vpc in backend.vpcs.values():
                vpc.is_default = False
            for subnet in backend.describe_subnets():
                subnet.default_for_az = False
            return _default_network(backend, asked["cidr"], asked.get("cidr6"))


def _default_network(backend: EC2Backend, cidr: str, cidr6: str | None) -> dict[str, str]:
    vpc = backend.create_vpc(cidr, is_default=True)
    subnet = backend.create_subnet(vpc.id, cidr, availability_zone=f"{backend.region_name}a")
    subnet.default_for_az = subnet.map_public_ip_on_launch = True
    if cidr6:
        subnet.attach_ipv6_cidr_block_associations(cidr6)
    return {"vpc": vpc.id, "subnet": subnet.id}


def _shown(life: Life, backend: EC2Backend) -> dict[str, Any]:
    instance = life.instance
    pair = backend.key_pairs.get(instance.key_name or "")
    return {
        "id": instance.id,
        "region": life.region,
        "state": instance.state,
        "image": backend.amis[instance.image_id].name,
        "owner": backend.amis[instance.image_id].owner_id,
        "private": instance.private_ip,
        "public": instance.public_ip,
        "ipv6": [address for nic in instance.nics.values() for address in nic.ipv6_addresses],
        "hostname": instance.private_dns_name,
        "user_data": str(instance.user_data or ""),
        "key": pair.material_public.decode() if pair else "",
        "reboots": life.reboots,
    }
