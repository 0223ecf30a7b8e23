"""A record with something in every field, for tests of what keeps records."""

from __future__ import annotations

from pymachine.model import Certificates, Endpoint, EngineSpec, Fault, Machine, Phase, SshAddress

FULL = Machine(
    name="node1",
    id="id-of-node1",
    driver="ssh",
    phase=Phase.READY,
    handle={"host": "10.0.0.5", "parts": [1, {"a": None}]},
    options={"ssh_host": "10.0.0.5"},
    ssh=SshAddress("10.0.0.5", 22, "root", host_key="ssh-ed25519 AAAA"),
    endpoint=Endpoint("2001:db8::5"),
    engine=EngineSpec(opts=("log-driver=none",), config={"data-root": "/srv"}, set_hostname=False),
    engine_version="26.1.5",
    addresses=("10.0.0.5", "2001:db8::5"),
    reported_addresses=("10.0.0.5",),
    labels={"rôle": "wörker"},
    certificates=Certificates("a", "b", "c", "2027-11-25", "2027-11-26", "2027-11-27", ("node1",)),
    fault=Fault("reaching", "no answer", "2026-11-25T00:00:00+00:00"),
    created="2026-11-25T00:00:00+00:00",
)
