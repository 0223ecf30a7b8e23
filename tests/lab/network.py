"""One bridge for a lab: a subnet nobody uses, a way out by NAT, rules that carry the lab's name to be found by."""

from __future__ import annotations

import ipaddress
import json
import random
import shlex
import uuid
from dataclasses import dataclass
from pathlib import Path

from lab.sh import LabError, run
from lab.sources import nameservers

COMMENT = "pymachine-lab"
FIRST_HOST = 10
TABLES = (("iptables", "nat"), ("iptables", "filter"), ("ip6tables", "filter"))


@dataclass(frozen=True)
class Subnet:
    """A lab's addresses: an IPv4 /24 and an IPv6 unique local /64."""

    v4: str
    v6: str

    def address(self, index: int) -> str:
        """IPv4 address number index; 1 is the bridge."""
        return str(ipaddress.IPv4Network(self.v4)[index])

    def address6(self, index: int) -> str:
        """IPv6 address number index; 1 is the bridge."""
        return str(ipaddress.IPv6Network(self.v6)[index])


def _taken() -> list[ipaddress.IPv4Network]:
    routes = json.loads(run(["ip", "-4", "-j", "route", "show", "table", "all"]).stdout or "[]")
    names = [route["dst"] for route in routes if route["dst"] != "default"] + nameservers()
    return [ipaddress.IPv4Network(name, strict=False) for name in names if ":" not in name]


def choose_subnet(pick: random.Random | None = None) -> Subnet:
    """A subnet that no route and no name server of this machine touches.

    10.64 and up: Swarm hands out 10.0.0.0/24, 10.0.1.0/24 and so on to its overlay networks.
    """
    pick = pick or random.SystemRandom()
    taken = _taken()
    for _ in range(500):
        a, b = pick.randrange(64, 250), pick.randrange(0, 255)
        net = ipaddress.IPv4Network(f"10.{a}.{b}.0/24")
        if not any(net.overlaps(other) for other in taken):
            return Subnet(str(net), f"fd{pick.getrandbits(8):02x}:{pick.getrandbits(16):x}:{a:x}:{b:x}::/64")
    raise LabError("no free /24 between 10.64.0.0 and 10.249.254.0: this machine routes them all")


def make_bridge(name: str, subnet: Subnet, alias: str) -> None:
    """Make the bridge with its addresses, and let the subnet out; the alias says whose it is."""
    # A bridge without an address of its own takes its lowest port's, and changes it whenever a host comes or goes:
    # the other hosts then send to the old one until their neighbour tables notice, seconds later.
    mac = ":".join(f"{byte:02x}" for byte in (0x02, *uuid.uuid4().bytes[:5]))
    run(["ip", "link", "add", name, "address", mac, "type", "bridge"])
    run(["ip", "link", "set", name, "alias", alias])
    Path(f"/proc/sys/net/ipv6/conf/{name}/accept_dad").write_text("0")
    run(["ip", "address", "add", f"{subnet.address(1)}/24", "dev", name])
    run(["ip", "-6", "address", "add", f"{subnet.address6(1)}/64", "dev", name, "nodad"])
    run(["ip", "link", "set", name, "up"])
    _add_rules(name, subnet)
    # Left on afterwards: another lab, or the user's own containers, may count on it by then.
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def _add_rules(name: str, subnet: Subnet) -> None:
    mark = ["-m", "comment", "--comment", f"{COMMENT}:{name}"]
    nat = ["-s", subnet.v4, "!", "-d", subnet.v4, *mark, "-j", "MASQUERADE"]
    run(["iptables", "-w", "10", "-t", "nat", "-I", "POSTROUTING", *nat])
    for program in ("iptables", "ip6tables"):
        for chain, way in (("FORWARD", "-i"), ("FORWARD", "-o"), ("INPUT", "-i")):
            run([program, "-w", "10", "-I", chain, way, name, *mark, "-j", "ACCEPT"])


def rules(program: str, table: str) -> list[list[str]]:
    """The rules of all labs in a table, as the words after the chain's name, oldest form first."""
    saved = run([f"{program}-save", "-t", table], check=False).stdout
    return [shlex.split(line) for line in saved.splitlines() if line.startswith("-A") and f"{COMMENT}:" in line]


def rule_owner(rule: list[str]) -> str:
    """The bridge that a rule of a lab belongs to."""
    return next(word.partition(":")[2] for word in rule if word.startswith(f"{COMMENT}:"))


def drop_bridge(name: str) -> None:
    """Remove a bridge and every rule that carries its name; fine when they are gone already."""
    for program, table in TABLES:
        for rule in rules(program, table):
            if rule_owner(rule) == name:
                run([program, "-w", "10", "-t", table, "-D", *rule[1:]], check=False)
    if Path(f"/sys/class/net/{name}").exists():
        run(["ip", "link", "delete", name], check=False)


def rule_owners() -> set[str]:
    """Every bridge name that some rule carries."""
    return {rule_owner(rule) for program, table in TABLES for rule in rules(program, table)}


def bridge_aliases() -> dict[str, str]:
    """The bridges of all labs, by name, with the folder their alias names."""
    links = json.loads(run(["ip", "-j", "-d", "link", "show", "type", "bridge"]).stdout or "[]")
    found = {link["ifname"]: str(link.get("ifalias", "")) for link in links}
    return {name: alias for name, alias in found.items() if alias.startswith(f"{COMMENT}:")}
